//! What is installed already: files, folders, and whether it runs.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use cmsg_config::{
    Paths,
    socket::{self, Role, Status},
};

use crate::{
    host::rejected::Rejection,
    installation::{
        account::{self, Ownership},
        installed::{Installed, InstalledFile, UnitsFact},
        layout,
    },
    runtime::host,
    trusted,
};

impl Installed {
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
    pub(crate) fn read(paths: &Paths, locked: Option<&[PathBuf]>) -> anyhow::Result<Self> {
        let just_made = locked.unwrap_or_default();
        let is_missing = |folder: &PathBuf| !folder.exists() || just_made.contains(folder);
        let (live, unresponsive) = ask(paths);
        let units = UnitsFact::read(paths)?;
        let supervisor_runs = match locked {
            Some(_) => host::is_running(paths).context("failed to query the supervisor")?,
            None => {
                let runs = !live.is_empty() || !unresponsive.is_empty();
                runs && units.running.is_empty()
            }
        };
        Ok(Self {
            missing_folders: layout::all_folders(paths).into_iter().filter(is_missing).collect(),
            supervisor_runs,
            units,
            edited: edited(paths, &live),
            rejected: rejected(paths, &live),
            live,
            unresponsive,
            ..Self::look(paths)?
        })
    }
}

fn access(paths: &Paths) -> BTreeMap<PathBuf, Ownership> {
    let look = |path: PathBuf| Some((path.clone(), Ownership::look(&path)?));
    account::paths(paths).into_iter().filter_map(look).collect()
}

fn rejected(paths: &Paths, live: &[Status]) -> Vec<Role> {
    let is_live = |role: &Role| live.iter().any(|status| status.role == *role);
    let mut roles = vec![Role::Cm, Role::Sg];
    roles.retain(|role| !is_live(role) && Rejection::is_there(paths, *role));
    roles
}

/// Whether a file of ours is there; what else may stand in its place is not ours to replace.
fn is_file(path: &Path) -> anyhow::Result<bool> {
    let file = trusted::open(path);
    file.map(|file| file.is_some())
        .with_context(|| format!("failed to inspect `{}`", path.display()))
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

/// The roles that read a file which was changed since. A role makes its socket anew when it starts, as
/// soon as it has read everything, and says when it has read all but its configuration again.
fn edited(paths: &Paths, live: &[Status]) -> Vec<Role> {
    let reloaded = |role| live.iter().find(|it| it.role == role).and_then(|it| it.files_read);
    let is_edited = |role: &Role| is_edited(paths, *role, reloaded(*role));
    [Role::Cm, Role::Sg].into_iter().filter(is_edited).collect()
}

fn is_edited(paths: &Paths, role: Role, reloaded: Option<u64>) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    let Some(started) = changed(&paths.run().join(role.socket())) else { return false };
    let reloaded = SystemTime::UNIX_EPOCH + Duration::from_millis(reloaded.unwrap_or_default());
    let conf = layout::conf(paths, role);
    let is_newer = |path: PathBuf| {
        let read = if path == conf { started } else { started.max(reloaded) };
        changed(&path).is_some_and(|changed| changed > read)
    };
    layout::read_by(paths, role).into_iter().any(is_newer)
}

/// What the roles that run say of themselves, and those that do not answer. A role that is only busy is
/// given more time.
fn ask(paths: &Paths) -> (Vec<Status>, Vec<Role>) {
    const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
    let (mut live, mut unresponsive) = (Vec::new(), Vec::new());
    for role in [Role::Cm, Role::Sg] {
        let mut answers =
            WAITS.iter().map(|wait| socket::get::<Status>(&paths.run(), role, "/status", *wait));
        let is_final = |answer: &io::Result<Status>| {
            answer.as_ref().err().is_none_or(|error| !is_unresponsive(error))
        };
        match answers.find(is_final) {
            Some(answer) => live.extend(answer.ok()),
            None => unresponsive.push(role),
        }
    }
    (live, unresponsive)
}

/// Whether the process is there and does not answer.
pub(crate) fn is_unresponsive(error: &io::Error) -> bool {
    use io::ErrorKind::{ResourceBusy, TimedOut, WouldBlock};
    [ResourceBusy, TimedOut, WouldBlock].contains(&error.kind())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

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

        let edited = || [Role::Cm, Role::Sg].map(|role| is_edited(&paths, role, None));
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
        // The Connection Manager has read it again, and so has the gateway, but not its configuration.
        assert!(!is_edited(&paths, Role::Cm, Some(4000)));
        assert!(is_edited(&paths, Role::Sg, Some(4000)));
    }
}
