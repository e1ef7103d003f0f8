//! A root with unrelated files, and what an installer leaves there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use cmsg_config::Paths;
pub(crate) use e2e::installer::{INSTALL_ON_HOST as INSTALL, PURGE};
use e2e::{
    installer::{document, plain},
    stepped::Stepped,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than a process takes to exit.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every path with its mode, and what is in it.
pub(crate) type Tree = BTreeMap<PathBuf, (u32, Vec<u8>)>;

/// The root; what is installed there is removed with it.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    pub(crate) fn fresh() -> Self {
        // In memory if possible, which is faster than a disk.
        let in_memory = tempfile::tempdir_in("/dev/shm");
        let folder = in_memory.or_else(|_| tempfile::tempdir()).expect("a folder can be made");
        let site = Self { folder };
        for (name, mode) in [("opt/other/thing", 0o640), ("var/log/other.log", 0o604)] {
            let path = site.root().join(name);
            fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("it is made");
            put(&path, b"not ours");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
        }
        site
    }

    /// Both roles are installed.
    pub(crate) fn installed() -> Self {
        let site = Self::fresh();
        site.done(&INSTALL);
        site
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A path for files outside the root.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::under(self.root())
    }

    /// A command of the installer for this root.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = e2e::binaries::command("pcoip-cmsg-setup");
        command.arg("--output=json").args(words).arg("--root").arg(self.root());
        plain(&mut command).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the installer can be run")
    }

    /// Runs a command that must succeed.
    pub(crate) fn done(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        let document = document(&output);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {document:#}");
        document
    }

    /// Starts an installer that stops between its steps.
    pub(crate) fn start(&self, words: &[&str]) -> Stepped {
        Stepped::start(self.command(words), self.root().join(".pcoip-cmsg-setup.journal"))
    }

    /// The same, with SIGHUP ignored.
    pub(crate) fn start_under_nohup(&self, words: &[&str]) -> Stepped {
        let command = self.command(words);
        let mut ignoring = Command::new("sh");
        ignoring.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]).arg(command.get_program());
        ignoring.args(command.get_args()).stdin(Stdio::null());
        plain(&mut ignoring);
        Stepped::start(ignoring, self.root().join(".pcoip-cmsg-setup.journal"))
    }

    /// How many steps a command has.
    pub(crate) fn steps(&self, words: &[&str]) -> usize {
        let planned = self.done(&[words, &["--dry-run"]].concat());
        planned["plan"].as_array().expect("there is a plan").len()
    }

    /// Checks that both roles respond.
    pub(crate) fn is_live(&self) {
        let status = self.done(&["status"]);
        let roles = &status["roles"];
        assert_eq!([&roles["cm"]["live"], &roles["sg"]["live"]], [&json!(true); 2], "{status:#}");
    }

    /// A setting that was saved.
    pub(crate) fn setting(&self, name: &str) -> Value {
        self.done(&["status"])["settings"][name]["value"].clone()
    }

    /// Everything under the root.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        list(&self.root(), &self.root(), &mut tree);
        tree
    }

    /// The files of an installation, whether or not its roles are running.
    pub(crate) fn installed_tree(&self) -> Tree {
        let (paths, root) = (self.paths(), self.root());
        let of_roles = ["connection-manager.sessions", "security-gateway.journal"];
        let mut tree = self.tree();
        tree.retain(|path, _| {
            let path = root.join(path);
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_of_roles = of_roles.iter().any(|file| name.contains(file));

            !is_of_roles && !path.starts_with(paths.run()) && !path.starts_with(paths.logs())
        });
        tree
    }

    /// The command lines of all processes for this root.
    pub(crate) fn processes(&self) -> Vec<String> {
        let root = self.root().display().to_string();
        let all = fs::read_dir("/proc").expect("processes are listed");
        let words = all.filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
        let words = words.map(|words| String::from_utf8_lossy(&words).replace('\0', " "));
        words.filter(|words| words.contains(&root)).collect()
    }

    /// Removes the installation, and checks that nothing is left.
    pub(crate) fn is_gone_without_trace(&self, before: &Tree) {
        let output = self.run(&PURGE);

        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{complaint}");
        self.is_as(before);
    }

    /// Checks that the root is unchanged, and that no process is running.
    pub(crate) fn is_as(&self, before: &Tree) {
        assert_eq!(differences(before, &self.tree()), [""; 0]);
        // A process that has released its lock may not have exited yet.
        let begun = Instant::now();
        while !self.processes().is_empty() && begun.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        assert_eq!(self.processes(), [""; 0]);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.run(&PURGE);
    }
}

/// The paths that differ or are in only one of them.
pub(crate) fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let all = one.keys().chain(other.keys().filter(|path| !one.contains_key(*path)));
    let differ = all.filter(|path| one.get(*path) != other.get(*path));
    let state = |tree: &Tree, path| tree.get(path).map(|(mode, content)| (*mode, content.len()));
    let told = differ.map(|path| {
        format!("{}: {:?}, {:?}", path.display(), state(one, path), state(other, path))
    });
    told.collect()
}

pub(crate) fn put(path: &Path, content: &[u8]) {
    File::create(path).and_then(|mut file| file.write_all(content)).expect("a file can be made");
}

fn list(top: &Path, folder: &Path, all: &mut Tree) {
    // Files of the roles may disappear while they are listed.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let content = if metadata.is_file() { fs::read(&path).unwrap_or_default() } else { vec![] };
        if metadata.is_dir() {
            list(top, &path, all);
        }
        let name = path.strip_prefix(top).expect("it is below").to_owned();
        all.insert(name, (metadata.permissions().mode(), content));
    }
}
