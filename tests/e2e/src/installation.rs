//! An installation by the real installer in a temporary directory.

use std::{
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use cmsg_config::{
    ConfFile, Paths,
    socket::{self, Role, Status},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installer::{INSTALL_ON_HOST, PURGE, document, plain, with};

/// Waits until the lines that a role has logged so far are in its file: it writes them in the
/// background, together with those of the following 10 ms.
#[expect(clippy::disallowed_methods, reason = "a role notifies nobody of a written line")]
pub fn until_logged() {
    std::thread::sleep(Duration::from_millis(250));
}

/// An installation that runs until the test ends.
#[derive(Debug)]
pub struct Installation {
    folder: TempDir,
}

impl Installation {
    /// Installs both roles, with a broker that does not exist.
    ///
    /// # Panics
    ///
    /// If the installer fails.
    #[must_use]
    pub fn start() -> Self {
        let installation = Self::nothing();
        let document = installation.done(&with(&INSTALL_ON_HOST, &["--host-address=old.example"]));
        assert_eq!(document["restarts"], json!([]));
        installation
    }

    /// Installs nothing: the test runs the installer itself.
    ///
    /// # Panics
    ///
    /// If no folder can be made.
    #[must_use]
    pub fn nothing() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths::under(self.root())
    }

    /// Runs a command of the installer on it.
    ///
    /// # Panics
    ///
    /// If the installer does not start.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = crate::binaries::command("pcoip-cmsg-setup");
        command.arg("--output=json").args(words).arg("--root").arg(self.root());
        plain(&mut command).output().expect("the installer can be run")
    }

    /// Runs a command that has to succeed, and returns its document.
    ///
    /// # Panics
    ///
    /// If it fails.
    pub fn done(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        let document = document(&output);
        assert_eq!(output.status.code(), Some(0), "{document:#}");
        document
    }

    /// The processes of both roles.
    ///
    /// # Panics
    ///
    /// If one does not answer.
    #[must_use]
    pub fn pids(&self) -> [u32; 2] {
        [Role::Cm, Role::Sg].map(|role| {
            let run = self.paths().run();
            let status = socket::get::<Status>(&run, role, "/status", Duration::from_secs(20));
            status.expect("the role answers").pid
        })
    }

    /// The values of a key in a configuration.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    #[must_use]
    pub fn values(&self, conf: &Path, key: &str) -> Vec<String> {
        let file = ConfFile::load(conf).expect("the configuration can be read");
        file.values(key).map(|entry| entry.value.to_owned()).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = self.run(&PURGE);
    }
}
