//! The directories and files of an installation, under `/` or another root. They are the same as in
//! the administrators' guide, so that its commands work.

use std::path::{Path, PathBuf};

const STATE: &str = "state";
const DATA: &str = "data";

/// The directories and files of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The installation below `root`; `/` without `--root`.
    #[must_use]
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root directory that was passed to [`Paths::under`].
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `/opt/teradici/pcoipcm_data`.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        self.root.join("opt/teradici/pcoipcm_data")
    }

    /// `data`: the .conf files, and the installer's files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.base().join(DATA)
    }

    /// `state`: sessions that the roles persist.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.base().join(STATE)
    }

    /// `certs`: certificates and private keys.
    #[must_use]
    pub fn certs(&self) -> PathBuf {
        self.base().join("certs")
    }

    /// `run`: unix sockets, and the supervisor's pid file and lock.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.base().join("run")
    }

    /// The installed daemon, with `--runtime=host`.
    #[must_use]
    pub fn daemon(&self) -> PathBuf {
        self.base().join("bin/pcoip-cmsgd")
    }

    /// `/var/log/Teradici`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("var/log/Teradici")
    }

    /// Log directory of the Connection Manager.
    #[must_use]
    pub fn connection_manager_logs(&self) -> PathBuf {
        self.logs().join("ConnectionManager")
    }

    /// Log directory of the Security Gateway.
    #[must_use]
    pub fn security_gateway_logs(&self) -> PathBuf {
        self.logs().join("SecurityGateway")
    }

    /// `data/ConnectionManager.conf`.
    #[must_use]
    pub fn connection_manager_conf(&self) -> PathBuf {
        self.data().join("ConnectionManager.conf")
    }

    /// `data/SecurityGateway.conf`.
    #[must_use]
    pub fn security_gateway_conf(&self) -> PathBuf {
        self.data().join("SecurityGateway.conf")
    }
}

/// Where roles of versions without a `state` directory kept their files: `data` beside it. `None`
/// if the directory has another name, which means that an administrator chose it.
#[must_use]
pub fn former_state(folder: &Path) -> Option<PathBuf> {
    folder.ends_with(STATE).then(|| folder.with_file_name(DATA))
}
