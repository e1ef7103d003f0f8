//! What is installed: files, folders, and whether it runs.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use cmsg_config::{
    ConfFile, Paths,
    socket::{Role, Status},
    values::Switch,
};

use super::{account::Ownership, layout};
use crate::{content::Content, installation::contents::Contents};

/// One installation as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Installed {
    /// Files of ours that are there.
    pub(crate) files: BTreeMap<PathBuf, InstalledFile>,
    /// Whose the files and folders are, on the machine itself.
    pub(crate) access: BTreeMap<PathBuf, Ownership>,
    /// Folders that are not there yet, outer ones first.
    pub(crate) missing_folders: Vec<PathBuf>,
    /// Whether a daemon is installed.
    pub(crate) has_daemon: bool,
    /// Whether the daemon before it is kept.
    pub(crate) has_previous_daemon: bool,
    /// Files of roles in `data` that they have copied to `state`.
    pub(crate) former_state: Vec<PathBuf>,
    /// What lies in its folders; only a purge looks.
    pub(crate) contents: Contents,
    /// Whether the supervisor's log is there.
    pub(crate) has_log: bool,
    /// Whether the supervisor runs.
    pub(crate) supervisor_runs: bool,
    /// What systemd has to do with it.
    pub(crate) units: UnitsFact,
    /// The roles that read a file which was changed after they started.
    pub(crate) edited: Vec<Role>,
    /// The roles that have rejected their configuration and are not restarted.
    pub(crate) rejected: Vec<Role>,
    /// What the roles that answer say of themselves.
    pub(crate) live: Vec<Status>,
    /// The roles that run, but do not answer.
    pub(crate) unresponsive: Vec<Role>,
}

/// A file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstalledFile {
    pub(crate) content: Content,
    /// Whether nobody but its owner reads it; on the machine itself `access` tells more.
    pub(crate) is_private: bool,
}

/// What is known of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct UnitsFact {
    /// Whether it is to run the roles: on the machine itself, where it is the first process.
    pub(crate) are_used: bool,
    /// The roles that it starts at boot.
    pub(crate) enabled: Vec<Role>,
    /// The roles that it runs.
    pub(crate) running: Vec<Role>,
}

impl Installed {
    /// What a file of ours contains, if it is there.
    pub(crate) fn content(&self, path: &Path) -> Option<&Content> {
        self.files.get(path).map(|file| &file.content)
    }

    /// Whether there is an installation that runs, or is to.
    pub(crate) fn is_there(&self, paths: &Paths) -> bool {
        self.has_daemon || self.files.contains_key(&layout::stack(paths))
    }

    /// The addresses that its roles listen on.
    pub(crate) fn listens(&self) -> Vec<SocketAddr> {
        self.live.iter().flat_map(|status| &status.listens).map(|it| it.address).collect()
    }

    /// The roles that have a configuration.
    pub(crate) fn roles(&self, paths: &Paths) -> Vec<Role> {
        let is_there = |role: &Role| self.files.contains_key(&layout::conf(paths, *role));
        [Role::Cm, Role::Sg].into_iter().filter(is_there).collect()
    }
}

/// The configuration that a role has, or had when it was last wanted. One that is not text is read
/// as far as it goes; the checks refuse to change it.
pub(crate) fn present(installed: &Installed, paths: &Paths, role: Role) -> Option<ConfFile> {
    let (_, content) = present_file(installed, paths, role)?;
    let text = content.decode().unwrap_or_else(|_| content.text().into());
    Some(ConfFile::parse(&text))
}

/// The file of that configuration.
pub(crate) fn present_file<'a>(
    installed: &'a Installed,
    paths: &Paths,
    role: Role,
) -> Option<(PathBuf, &'a Content)> {
    [layout::conf(paths, role), layout::disabled_conf(paths, role)]
        .into_iter()
        .find_map(|path| installed.content(&path).map(|content| (path, content)))
}

/// Whether a configuration has the broker's certificate not verified.
pub(crate) fn is_unverified(file: &ConfFile) -> bool {
    let check = file.values("BrokerCertCheck").next().map(|entry| entry.value.parse());
    matches!(check, Some(Ok(Switch(false))))
}
