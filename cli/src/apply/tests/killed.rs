//! Wherever a process is killed, the next one brings the host to where it was, or to where it was to
//! be. The files are real.

mod mortal;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use tempfile::TempDir;

use super::*;
use crate::{
    host::{
        daemon::DaemonFact, export::Export, installed::Installed, interrupted, lock::Lock,
        machine::kernel::KernelKey, units::UnitsFact,
    },
    plan::{
        self, Plan,
        tests::{BOTH, facts, wanted},
    },
    system::recorder::firewall::Remembered,
    wanted::listen::ListenKey,
};
use mortal::{Death, Host, Mortal, put};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Ask {
    /// These answers with this daemon.
    Install(&'static str, &'static str),
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
        Tree {
            files,
            runs: roles.clone(),
            known,
            enabled: enabled.clone(),
            firewall: firewall.clone(),
            kernel: kernel.clone(),
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

fn plan(
    ask: Ask,
    paths: &Paths,
    folder: &Path,
    lock: &Lock,
    host: &Host,
) -> (&'static str, Vec<Step>) {
    let installed = Installed::read(paths, Some(lock)).unwrap();
    let such = |all: &BTreeSet<&str>| {
        [Role::Cm, Role::Sg].into_iter().filter(|role| all.contains(role.command())).collect()
    };
    let units = UnitsFact {
        are_used: host.is_booted,
        enabled: such(&host.enabled),
        running: if host.runs { Vec::new() } else { such(&host.roles) },
    };
    let supervisor_runs = host.runs;
    let installed = Installed { supervisor_runs, units, edited: Vec::new(), ..installed };
    match ask {
        Ask::Nothing | Ask::Systemd => ("nothing", Vec::new()),
        Ask::Uninstall(purges) => {
            let machine = host.machine(paths.root());
            ("uninstall", plan::uninstall(paths, &installed, &machine, purges).steps)
        }
        Ask::Install(text, daemon) => {
            let root = format!("root: {}\n", paths.root().display());
            let (wanted, answers) = wanted(&text.replace("root: /r\n", &root));
            let mut facts = facts(&wanted);
            facts.installed = installed;
            facts.machine = host.machine(paths.root());
            for (key, port) in [(ListenKey::Broker, 443), (ListenKey::Pcoip, 4172)] {
                if let Some(listener) = facts.listeners.get_mut(&key) {
                    listener.address = Some(([0, 0, 0, 0], port).into());
                }
            }
            facts.daemon = DaemonFact::read(Some(&folder.join(daemon)), paths);
            facts.export = Some(Export::look(&folder.join("mine.yaml")));
            let Plan { steps, .. } = plan::install(&wanted, &facts, &answers);
            ("install", steps)
        }
    }
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
            fs::read_to_string(&path).unwrap().replace(&top.display().to_string(), "")
        };
        all.insert(path.strip_prefix(top).unwrap().to_owned(), format!("{mode:o} {text}"));
    }
}

/// The plans and what comes before each.
fn cases() -> Vec<(Vec<Ask>, Ask)> {
    vec![
        (vec![], FIRST),
        (vec![FIRST], OTHER),
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
        let done = done.tree();

        every_death(&before, ask, |mut site, death| {
            assert!(site.run(ask, None));

            assert_eq!(site.tree().differences(&done), NONE, "{ask:?} {death:?}");
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
