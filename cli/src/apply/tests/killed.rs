//! Wherever a process is killed, the next one brings the host to where it was, or to where it was to
//! be. The files are real.

mod adopting;
mod mortal;
mod plans;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use cmsg_config::socket::DEPLOYMENT;
use ipnet::Ipv4Net;
use tempfile::TempDir;

use super::*;
use crate::{
    apply::{interrupted, lock::Lock},
    installation::surroundings::KernelKey,
    plan::tests::BOTH,
    system::recorder::{EngineState, firewall::Remembered},
};
use mortal::{Death, Host, Mortal, put};
use plans::plan;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Ask {
    /// These answers with this daemon.
    Install(&'static str, &'static str),
    /// These answers for Docker Swarm, with the images in this archive.
    Swarm(&'static str, &'static str),
    /// The same, in place of what runs there.
    Adopt(&'static str, &'static str),
    /// The removal, of everything or not.
    Uninstall(bool),
    /// Nothing, but to take back what was left.
    Nothing,
    /// That systemd be the first process from now on.
    Systemd,
}

const FIRST: Ask = Ask::Install(BOTH, "one");
const OTHER: Ask = Ask::Install(
    "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\nbroker-url: https://other\n\
     host-address: other.example\nexternal-pcoip-ip: 192.0.2.1\n",
    "two",
);
const ONE_ROLE: Ask = Ask::Install(
    "accept-policies: true\nself-signed: true\nroot: /r\nruntime: host\nbroker-url: https://b\n\
     enable-security-gateway: false\n",
    "one",
);

const SWARM: Ask = Ask::Swarm(
    "accept-policies: true\nself-signed: true\nroot: /r\nbroker-url: https://b\n\
     external-pcoip-ip: 192.0.2.1\n",
    "images-1",
);
const OTHER_SWARM: Ask = Ask::Swarm(
    "accept-policies: true\nself-signed: true\nroot: /r\nbroker-url: https://other\n\
     host-address: other.example\nenable-security-gateway: false\n\
     docker-network-cidr: 10.9.0.0/24\n",
    "images-2",
);

const NONE: [PathBuf; 0] = [];

const THINGS_OF_OTHERS: [(&str, &str); 4] = [
    ("opt/other/thing", "not ours"),
    ("var/log/other.log", "not ours"),
    ("etc/sysctl.d/50-other.conf", "net.ipv4.ip_local_reserved_ports = 8080\n"),
    ("etc/systemd/system/other.service", "not ours"),
];

/// Every path with its mode and content, the roles that run, and what systemd knows and starts at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tree {
    files: BTreeMap<PathBuf, String>,
    runs: BTreeSet<&'static str>,
    known: BTreeMap<&'static str, String>,
    enabled: BTreeSet<&'static str>,
    firewall: Remembered,
    kernel: BTreeMap<KernelKey, String>,
    /// What is at the engine.
    engine: (BTreeSet<String>, bool, Option<Ipv4Net>, bool),
}

impl Tree {
    /// What is in one of them only, or different.
    fn differences(&self, other: &Self) -> Vec<PathBuf> {
        let all = self.files.keys().chain(other.files.keys());
        let is_other = |path: &&PathBuf| self.files.get(*path) != other.files.get(*path);
        let mut paths: Vec<_> = all.filter(is_other).cloned().collect();
        if self.runs != other.runs {
            paths.push("the roles".into());
        }
        if (&self.known, &self.enabled) != (&other.known, &other.enabled) {
            paths.push("systemd".into());
        }
        if self.firewall != other.firewall {
            paths.push("the firewall".into());
        }
        if self.kernel != other.kernel {
            paths.push("the kernel".into());
        }
        if self.engine != other.engine {
            paths.push("the engine".into());
        }
        paths
    }
}

/// A folder with the root in it and things of others in both.
struct Site {
    folder: TempDir,
    host: Host,
}

impl Site {
    /// After these went well.
    fn after(asked: &[Ask]) -> Self {
        // In memory where there is such a folder: thousands of writes wait for no disk there.
        let in_memory = tempfile::tempdir_in("/dev/shm");
        let folder = in_memory.or_else(|_| tempfile::tempdir()).unwrap();
        for name in ["one", "two"] {
            put(&folder.path().join(name), name.as_bytes());
            fs::set_permissions(folder.path().join(name), Permissions::from_mode(0o755)).unwrap();
        }
        for number in ["1", "2"] {
            let local = "localhost/pcoip-cmsg";
            let images = format!("{local}/pcoip-cm:{number}\n{local}/sg:{number}\n");
            put(&folder.path().join(format!("images-{number}")), images.as_bytes());
        }
        let mut site = Self { folder, host: Host::new() };
        asked.iter().for_each(|ask| assert!(site.run(*ask, None)));
        site
    }

    fn with_things_of_others(asked: &[Ask]) -> Self {
        let mut site = Self::after(&[]);
        for (name, text) in THINGS_OF_OTHERS {
            let path = site.root().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            put(&path, text.as_bytes());
        }
        asked.iter().for_each(|ask| assert!(site.run(*ask, None)));
        site
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("r")
    }

    fn tree(&self) -> Tree {
        let mut files = BTreeMap::new();
        list(self.folder.path(), self.folder.path(), &mut files);
        let Host { roles, known, enabled, firewall, kernel, .. } = &self.host;
        // As in files, below.
        let top = self.folder.path().display().to_string();
        let plain = |text: &[u8]| String::from_utf8_lossy(text).replace(&top, "");
        let known = known.iter().map(|(role, text)| (*role, plain(text))).collect();
        let EngineState { images, swarm, network, services, .. } = &self.host.engine;
        let engine = (images.clone(), swarm.is_some(), *network, services.is_empty());
        Tree {
            files,
            runs: roles.clone(),
            known,
            enabled: enabled.clone(),
            firewall: firewall.clone(),
            kernel: kernel.clone(),
            engine,
        }
    }

    /// Does it as a process that dies then; says whether it came to its end.
    fn run(&mut self, ask: Ask, death: Option<Death>) -> bool {
        self.host.is_booted |= matches!(ask, Ask::Systemd);
        let root = self.root();
        let paths = Paths::under(&root);
        let lock = Lock::take(&root).unwrap();
        let runs = self.host.runs;
        let mut process = Mortal::new(&mut self.host, death);
        let left = match interrupted::journal(&paths).unwrap() {
            Some(journal) => recover(&journal, &paths, &mut process),
            None => remove(&paths, &mut process).map(|()| Vec::new()).unwrap_or_default(),
        };
        if !process.is_dead() {
            assert!(left.is_empty(), "{left:?}");
            let (command, steps) = plan(ask, &paths, self.folder.path(), &lock, &self.host);
            // Taking back has had effects of its own.
            process = Mortal::new(&mut self.host, death);
            let work = Work { command, paths: &paths, steps: &steps };
            let outcome = apply(work, &mut process, &Progress::silent());
            assert!(process.is_dead() || outcome.is_ok_and(|left| left.is_empty()), "{runs}");
        }
        let is_dead = process.is_dead();
        if is_dead {
            die(lock, &root);
        } else {
            drop(lock);
        }
        !is_dead
    }
}

/// The lock of a killed process stays.
fn die(lock: Lock, root: &Path) {
    let file = root.join(".pcoip-cmsg-setup.lock");
    let note = fs::read(&file).unwrap();
    drop(lock);
    fs::create_dir_all(root).unwrap();
    put(&file, &note);
}

fn list(top: &Path, folder: &Path, all: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let mode = metadata.permissions().mode();
        let text = if metadata.is_dir() {
            list(top, &path, all);
            String::new()
        } else {
            // Paths below the temporary folder stand in many files.
            let text = fs::read_to_string(&path).unwrap().replace(&top.display().to_string(), "");
            // A deployment is named after these paths.
            let lines = text.split_inclusive('\n').filter(|line| !line.contains(DEPLOYMENT));
            lines.collect()
        };
        all.insert(path.strip_prefix(top).unwrap().to_owned(), format!("{mode:o} {text}"));
    }
}

/// The plans and what comes before each.
fn cases() -> Vec<(Vec<Ask>, Ask)> {
    vec![
        (vec![], FIRST),
        (vec![FIRST], OTHER),
        (vec![], SWARM),
        (vec![SWARM], OTHER_SWARM),
        (vec![SWARM, Ask::Uninstall(false)], SWARM),
        (vec![SWARM], Ask::Uninstall(false)),
        (vec![SWARM], Ask::Uninstall(true)),
        (vec![FIRST], ONE_ROLE),
        (vec![ONE_ROLE], FIRST),
        (vec![FIRST, Ask::Uninstall(false)], FIRST),
        (vec![FIRST], Ask::Uninstall(false)),
        (vec![FIRST], Ask::Uninstall(true)),
        (vec![FIRST, Ask::Uninstall(false)], Ask::Uninstall(true)),
        (vec![Ask::Systemd], FIRST),
        (vec![Ask::Systemd, FIRST], ONE_ROLE),
        (vec![FIRST, Ask::Systemd], OTHER),
        (vec![Ask::Systemd, FIRST], Ask::Uninstall(true)),
    ]
}

/// Calls it with every death that a case can die, and returns how many there are.
fn every_death(before: &[Ask], ask: Ask, mut check: impl FnMut(Site, Death)) -> usize {
    for after in 0.. {
        for amid in [false, true] {
            let mut site = Site::with_things_of_others(before);
            let death = Death { after, amid };
            if site.run(ask, Some(death)) {
                return after;
            }
            check(site, death);
        }
    }
    unreachable!("a plan ends")
}

#[test]
fn what_was_killed_is_undone_or_finished_exactly() {
    for (before, ask) in cases() {
        let old = Site::with_things_of_others(&before).tree();
        let mut done = Site::with_things_of_others(&before);
        assert!(done.run(ask, None));
        let done = done.tree();

        let mut finished = 0;
        let deaths = every_death(&before, ask, |mut site, death| {
            assert!(site.run(Ask::Nothing, None));

            let tree = site.tree();
            if tree == old {
                assert_eq!(finished, 0, "{ask:?} {death:?}: what is done is not undone");
            } else {
                finished += 1;
                assert_eq!(tree.differences(&done), NONE, "{ask:?} {death:?}");
            }
        });

        assert!(deaths > 5, "{ask:?}: {deaths}");
    }
}

#[test]
fn what_was_killed_and_is_run_again_comes_to_the_same() {
    for (before, ask) in cases() {
        let mut done = Site::with_things_of_others(&before);
        assert!(done.run(ask, None));
        let mut done = done.tree();

        every_death(&before, ask, |mut site, death| {
            assert!(site.run(ask, None));

            let mut tree = site.tree();
            // What was finished is installed anew, over itself.
            let path = Path::new("r/opt/teradici/pcoipcm_data/data/previous.json");
            tree.files.remove(path);
            done.files.remove(path);
            assert_eq!(tree.differences(&done), NONE, "{ask:?} {death:?}");
        });
    }
}

#[test]
fn what_was_killed_can_be_removed_and_only_things_of_others_stay() {
    let empty = Site::with_things_of_others(&[]).tree();
    for (before, ask) in cases() {
        every_death(&before, ask, |mut site, death| {
            assert!(site.run(Ask::Uninstall(true), None));

            let mut tree = site.tree();
            // The operator's own file, not of the installation.
            tree.files.remove(Path::new("mine.yaml"));
            assert_eq!(tree.differences(&empty), NONE, "{ask:?} {death:?}");
        });
    }
}

#[test]
fn a_root_that_was_not_there_is_not_there_after_a_kill_and_a_removal() {
    let empty = Site::after(&[]).tree();
    for after in 0.. {
        let mut site = Site::after(&[]);
        if site.run(FIRST, Some(Death { after, amid: true })) {
            break;
        }

        assert!(site.run(Ask::Uninstall(true), None));

        let mut tree = site.tree();
        tree.files.remove(Path::new("mine.yaml"));
        assert_eq!(tree.differences(&empty), NONE, "{after}");
    }
}

#[test]
fn whoever_takes_back_may_be_killed_too() {
    for (before, ask) in cases() {
        let old = Site::with_things_of_others(&before).tree();
        let mut done = Site::with_things_of_others(&before);
        assert!(done.run(ask, None));
        let done = done.tree();

        every_death(&before, ask, |mut site, death| {
            // Ever later, with an odd distance so that all kinds of effects are hit.
            for after in [0, 1, 4, 9] {
                site.run(Ask::Nothing, Some(Death { after, amid: true }));
            }
            assert!(site.run(Ask::Nothing, None));

            let tree = site.tree();
            let [undone, finished] = [&old, &done].map(|other| tree.differences(other));
            assert!(
                undone.is_empty() || finished.is_empty(),
                "{ask:?} {death:?}: {undone:?}, {finished:?}"
            );
        });
    }
}
