//! The output of `cargo xtask dist` for the programs that were built for tests.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use e2e::binaries;
use tempfile::TempDir;

/// The version of this workspace.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The output directory, which is also the base URL for dnf.
pub(crate) struct Made {
    own: TempDir,
}

impl Made {
    /// Makes it, with more flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        Self::by(|dist| dist.args(flags))
    }

    /// Builds the packages with a modified command.
    pub(crate) fn by(change: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let made = Self { own: tempfile::tempdir().expect("a temporary folder can be made") };
        let mut dist = binaries::command("xtask");
        dist.args(["dist", "--profile", "dev", "--base-url"]);
        dist.arg(format!("file://{}", made.folder().display())).arg("--to").arg(made.folder());
        dist.arg("--installer").arg(binaries::static_path("pcoip-cmsg-setup"));
        dist.arg("--daemon").arg(binaries::static_path("pcoip-cmsgd"));
        tell(change(&mut dist));
        made
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.own.path().join("dist")
    }

    /// The package for a system.
    pub(crate) fn package(&self, system: &str) -> PathBuf {
        let mut files = fs::read_dir(self.folder().join(system)).expect("there is a repository");
        let is_package = |path: &PathBuf| path.extension() == Some(OsStr::new("rpm"));
        files.find_map(|file| Some(file.ok()?.path()).filter(is_package)).expect("it has a package")
    }
}

/// Every file below a folder, with its bytes.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            let below = files(&path).into_iter();
            all.extend(below.map(|(file, bytes)| {
                (Path::new(path.file_name().expect("it has a name")).join(file), bytes)
            }));
        } else {
            let name = PathBuf::from(path.file_name().expect("it has a name"));
            all.insert(name, fs::read(&path).expect("the file can be read"));
        }
    }
    all
}

/// Runs a command that has to succeed, and returns what it printed.
pub(crate) fn tell(command: &mut Command) -> String {
    let (is_done, said) = try_to(command);
    assert!(is_done, "{command:?}:\n{said}");
    said
}

/// Runs a command, and returns whether it succeeded and its whole output.
pub(crate) fn try_to(command: &mut Command) -> (bool, String) {
    let output = command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output();
    let output = output.expect("the command starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// rpm without the packages of this machine.
pub(crate) fn rpm(database: &Path) -> Command {
    let mut rpm = Command::new("rpm");
    rpm.arg("--dbpath").arg(database);
    rpm
}
