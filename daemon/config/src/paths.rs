//! Where everything lies, under `/` or under another root. The folders are the ones of the
//! administrators' guide, so that its commands and an administrator's habits keep working.

use std::path::{Path, PathBuf};

const STATE: &str = "state";
const DATA: &str = "data";

/// The folders and files of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// The installation under `root`; `/` for the machine's own.
    #[must_use]
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `/opt/teradici/pcoipcm_data`.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        self.root.join("opt/teradici/pcoipcm_data")
    }

    /// Configuration, and what the installer keeps for itself.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.base().join(DATA)
    }

    /// What the roles keep over a restart.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.base().join(STATE)
    }

    /// Certificates and keys.
    #[must_use]
    pub fn certs(&self) -> PathBuf {
        self.base().join("certs")
    }

    /// Unix sockets, pidfile and lock.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.base().join("run")
    }

    /// The installed daemon of the `host` runtime.
    #[must_use]
    pub fn daemon(&self) -> PathBuf {
        self.base().join("bin/pcoip-cmsgd")
    }

    /// `/var/log/Teradici`.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("var/log/Teradici")
    }

    /// Logs of the Connection Manager.
    #[must_use]
    pub fn connection_manager_logs(&self) -> PathBuf {
        self.logs().join("ConnectionManager")
    }

    /// Logs of the Security Gateway.
    #[must_use]
    pub fn security_gateway_logs(&self) -> PathBuf {
        self.logs().join("SecurityGateway")
    }

    /// The Connection Manager's configuration.
    #[must_use]
    pub fn connection_manager_conf(&self) -> PathBuf {
        self.data().join("ConnectionManager.conf")
    }

    /// The Security Gateway's configuration.
    #[must_use]
    pub fn security_gateway_conf(&self) -> PathBuf {
        self.data().join("SecurityGateway.conf")
    }
}

/// Where roles kept their files before versions with a folder `state` of their own: in `data`
/// beside it. None for a folder of another name, which an administrator has chosen.
#[must_use]
pub fn former_state(folder: &Path) -> Option<PathBuf> {
    folder.ends_with(STATE).then(|| folder.with_file_name(DATA))
}
