//! What is installed already: files, folders, and whether it runs.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use cmsg_config::{
    Paths,
    socket::{self, Role, Status},
};

use super::{account::Found, lock::Lock, trusted, units::UnitsFact};
use crate::{
    content::Content,
    plan::{account, layout},
    runtime::host,
};

/// One installation as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Installed {
    /// Files of ours that are there.
    pub(crate) files: BTreeMap<PathBuf, InstalledFile>,
    /// Whose the files and folders are, on the machine itself.
    pub(crate) access: BTreeMap<PathBuf, Found>,
    /// Folders that are not there yet, outer ones first.
    pub(crate) missing_folders: Vec<PathBuf>,
    /// Whether a daemon is installed.
    pub(crate) has_daemon: bool,
    /// Whether the daemon before it is kept.
    pub(crate) has_previous_daemon: bool,
    /// Files of roles in `data` that they have copied to `state`.
    pub(crate) former_state: Vec<PathBuf>,
    /// Whether the supervisor's log is there.
    pub(crate) has_log: bool,
    /// Whether the supervisor runs.
    pub(crate) supervisor_runs: bool,
    /// What systemd has to do with it.
    pub(crate) units: UnitsFact,
    /// The roles that read a file which was changed after they started.
    pub(crate) edited: Vec<Role>,
    /// What the roles that answer say of themselves.
    pub(crate) live: Vec<Status>,
}

/// A file of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstalledFile {
    /// What it contains.
    pub(crate) content: Content,
    /// Whether nobody but its owner reads it; on the machine itself `access` tells more.
    pub(crate) is_private: bool,
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

    /// Reads what lies there.
    ///
    /// # Errors
    ///
    /// Where something is there and cannot be read.
    pub(crate) fn look(paths: &Paths) -> anyhow::Result<Self> {
        let mut found = BTreeMap::new();
        let is_machine = layout::is_machine(paths);
        // Also those with no file yet: what is written and run there later must stay as it is.
        layout::installers_folders(paths)
            .iter()
            .try_for_each(|folder| trusted::check_folder(folder))?;
        let units = [Role::Cm, Role::Sg].map(|role| layout::unit(paths, role));
        for path in layout::files(paths).into_iter().chain(units) {
            if let Some(mut file) = read(&path)
                .with_context(|| format!("failed to read the installed `{}`", path.display()))?
            {
                file.is_private |= is_machine;
                found.insert(path, file);
            }
        }
        let access = if is_machine { access(paths) } else { BTreeMap::new() };
        Ok(Self {
            files: found,
            access,
            has_daemon: is_file(&paths.daemon())?,
            has_previous_daemon: is_file(&layout::previous_daemon(paths))?,
            former_state: former_state(paths),
            has_log: is_file(&layout::supervise_log(paths))?,
            units: UnitsFact::look(paths),
            ..Self::default()
        })
    }

    /// Reads what lies there, which folders are missing and what runs. To ask the supervisor's lock
    /// would disturb one that is just starting, so it is asked only under the installer's own, and
    /// the sockets otherwise. Folders that were made for the installer's lock count as missing.
    ///
    /// # Errors
    ///
    /// Where something is there and cannot be read.
    pub(crate) fn read(paths: &Paths, lock: Option<&Lock>) -> anyhow::Result<Self> {
        let just_made = lock.map_or(&[][..], Lock::made);
        let is_missing = |folder: &PathBuf| !folder.exists() || just_made.contains(folder);
        let live = live(paths);
        let units = UnitsFact::read(paths)?;
        let supervisor_runs = match lock {
            Some(_) => host::is_running(paths).context("failed to ask for the supervisor")?,
            None => !live.is_empty() && units.running.is_empty(),
        };
        Ok(Self {
            missing_folders: layout::all_folders(paths).into_iter().filter(is_missing).collect(),
            supervisor_runs,
            units,
            edited: [Role::Cm, Role::Sg].into_iter().filter(|r| is_edited(paths, *r)).collect(),
            live,
            ..Self::look(paths)?
        })
    }
}

fn access(paths: &Paths) -> BTreeMap<PathBuf, Found> {
    let look = |path: PathBuf| Some((path.clone(), Found::look(&path)?));
    account::paths(paths).into_iter().filter_map(look).collect()
}

/// Whether a file of ours is there; what else may stand in its place is not ours to replace.
fn is_file(path: &Path) -> anyhow::Result<bool> {
    let file = trusted::open(path);
    file.map(|file| file.is_some())
        .with_context(|| format!("failed to look at `{}`", path.display()))
}

fn read(path: &Path) -> anyhow::Result<Option<InstalledFile>> {
    let file = trusted::read(path)?;
    Ok(file.map(|trusted::Trusted { content, is_private }| InstalledFile { content, is_private }))
}

/// A role that has written its journal in `state` has read what it left in `data`.
fn former_state(paths: &Paths) -> Vec<PathBuf> {
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let of_role = |role| {
        let former = layout::former_state(paths, role);
        let journal = former[0].file_name().map(|name| paths.state().join(name));
        former.into_iter().filter(move |_| journal.as_ref().is_some_and(is_there))
    };
    [Role::Cm, Role::Sg].into_iter().flat_map(of_role).filter(is_there).collect()
}

/// A role makes its socket anew when it starts, as soon as it has read everything.
fn is_edited(paths: &Paths, role: Role) -> bool {
    let changed = |path: PathBuf| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let Some(started) = changed(paths.run().join(role.socket())) else { return false };
    layout::read_by(paths, role).into_iter().filter_map(changed).any(|changed| changed > started)
}

fn live(paths: &Paths) -> Vec<Status> {
    let status =
        |role| socket::get::<Status>(&paths.run(), role, "/status", Duration::from_secs(1)).ok();
    [Role::Cm, Role::Sg].into_iter().filter_map(status).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::SystemTime,
    };

    use super::*;

    #[test]
    fn a_file_that_was_changed_after_the_roles_started_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        for folder in [paths.data(), paths.certs(), paths.run()] {
            fs::create_dir_all(folder).unwrap();
        }
        let touch = |path: PathBuf, second: u64| {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            File::create(path).unwrap().set_modified(at).unwrap();
        };

        let edited = || [Role::Cm, Role::Sg].map(|role| is_edited(&paths, role));
        touch(paths.security_gateway_conf(), 1);
        assert_eq!(edited(), [false, false]);
        touch(paths.run().join("cm.sock"), 2);
        touch(paths.run().join("sg.sock"), 2);
        touch(layout::answers(&paths), 3);
        assert_eq!(edited(), [false, false]);
        touch(paths.security_gateway_conf(), 3);
        assert_eq!(edited(), [false, true]);
        touch(layout::certificate(&paths), 3);
        assert_eq!(edited(), [true, true]);
    }
}
