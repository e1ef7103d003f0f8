//! A directory that represents a machine, and dnf for it. Packages and repositories of the real
//! machine are not visible.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::made::{tell, try_to};

/// Debian's rpm keeps its database in the home directory, so it is in this one.
const HOME: &str = "/home";

/// Such a directory, and dnf's own files beside it.
pub(crate) struct Root {
    own: TempDir,
}

impl Root {
    pub(crate) fn new() -> Self {
        let root = Self { own: tempfile::tempdir().expect("a temporary folder can be made") };
        for folder in ["root", "repositories", "cache"] {
            fs::create_dir(root.own.path().join(folder)).expect("a folder can be made");
        }
        fs::File::create(root.own.path().join("dnf.conf")).expect("a file can be made");
        root
    }

    /// Where one of its files lies.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.own.path().join("root").join(path.trim_start_matches('/'))
    }

    /// Adds a repository by its configuration file.
    pub(crate) fn add(&self, file: &Path) {
        let to =
            self.own.path().join("repositories").join(file.file_name().expect("it has a name"));
        fs::copy(file, to).expect("the file can be copied");
    }

    /// Adds a repository of unsigned packages.
    pub(crate) fn add_plain(&self, name: &str, folder: &Path) {
        let file = self.own.path().join("repositories").join(format!("{name}.repo"));
        let mut file = fs::File::create(file).expect("a file can be made");
        let text = "name=Of a test\nenabled=1\ngpgcheck=0\n";
        write!(file, "[{name}]\n{text}baseurl=file://{}\n", folder.display())
            .expect("the file can be written");
    }

    pub(crate) fn dnf(&self, words: &str) -> Command {
        let own = |name: &str| self.own.path().join(name).display().to_string();
        let mut dnf = Command::new("dnf");
        dnf.args(["--config", &own("dnf.conf"), "--installroot", &own("root"), "--assumeyes"]);
        dnf.args(["--noplugins", "--releasever=9", "--forcearch=x86_64"]);
        dnf.arg(format!("--setopt=reposdir={}", own("repositories")));
        dnf.arg(format!("--setopt=cachedir={}", own("cache")));
        dnf.env("HOME", HOME).args(words.split(' '));
        dnf
    }

    /// Runs dnf successfully, and returns its output.
    pub(crate) fn done(&self, words: &str) -> String {
        tell(&mut self.dnf(words))
    }

    /// Runs dnf expecting a failure, and returns its output.
    pub(crate) fn refused(&self, words: &str) -> String {
        let (is_done, said) = try_to(&mut self.dnf(words));
        assert!(!is_done, "{said}");
        said
    }

    /// What is installed: names and versions.
    pub(crate) fn installed(&self) -> Vec<String> {
        let mut query = Command::new("rpm");
        query.env("HOME", HOME).arg("--root").arg(self.own.path().join("root"));
        let said = tell(query.args(["-qa", "--queryformat", "%{NAME}-%{EVR}\n"]));
        let mut all: Vec<_> = said.lines().map(str::to_owned).collect();
        all.sort();
        all
    }

    /// Runs one of its programs.
    pub(crate) fn tell(&self, words: &[&str]) -> String {
        tell(Command::new("chroot").arg(self.own.path().join("root")).args(words))
    }
}
