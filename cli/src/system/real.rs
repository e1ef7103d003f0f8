//! Performs effects on the host.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use cmsg_config::{
    Paths,
    socket::{self, Order, Role, Status},
};
use cmsg_engine::Engine;

use super::{EngineSystem as _, System, account};
use crate::{
    content::Content,
    installation::{
        account::{Access, Ownership},
        layout::unfinished,
    },
    interrupt::Interrupt,
    pki::generate::{self, Pair, Request},
    progress::Progress,
    runtime::{
        host::{self, Started},
        units,
    },
    system::Awaited,
    trusted,
};

/// A role answers at once or hangs.
const STATUS_WAIT: Duration = Duration::from_millis(500);

/// Files are read and judged before they count.
const RELOAD_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Real {
    pub(super) interrupt: Interrupt,
    pub(super) progress: Progress,
    /// The engine, once a step has needed it.
    pub(super) engine: Option<Engine>,
    started: Option<Started>,
    /// Where the log of a running supervisor ended when a role was first started.
    log_start: Option<u64>,
}

impl Real {
    /// The host, with the operator's wish to stop and what tells how far a long effect is.
    pub(crate) fn new(interrupt: Interrupt, progress: Progress) -> Self {
        Self { interrupt, progress, engine: None, started: None, log_start: None }
    }

    /// What tells how far a long effect is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl System for Real {
    fn make_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            // Somebody may have made it a moment before, or a link to another one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
                Ok(trusted::check_name(path)?)
            }
            result => result
                .and_then(|()| sync_folder_of(path))
                .with_context(|| format!("failed to create `{}`", path.display())),
        }
    }

    fn remove_empty_folder(&mut self, path: &Path) -> anyhow::Result<()> {
        match fs::remove_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => unless_gone(result, path).map(drop),
        }
    }

    fn write(&mut self, path: &Path, content: &Content) -> anyhow::Result<()> {
        replace(path, 0o600, |file| io::copy(&mut content.bytes(), file))
    }

    fn copy_executable(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let failed = || format!("failed to read `{}`", from.display());
        let program = if from.parent() == to.parent() {
            // A daemon of the installation's own, which is kept or comes back.
            let found = trusted::open(from).with_context(failed)?;
            found.with_context(|| format!("`{}` is gone", from.display()))?
        } else {
            File::open(from).with_context(failed)?
        };
        let total = program.metadata().with_context(failed)?.len();
        replace(to, 0o700, |file| io::copy(&mut self.progress.reading(program, total), file))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> anyhow::Result<bool> {
        trusted::check_name(from)?;
        unless_gone(fs::rename(from, to), from)
    }

    fn delete(&mut self, path: &Path) -> anyhow::Result<()> {
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        let result = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        unless_gone(result, path).map(drop)
    }

    fn make_account(&mut self) -> anyhow::Result<()> {
        account::make()
    }

    fn remove_account(&mut self) -> anyhow::Result<()> {
        account::remove()
    }

    fn hand_over(&mut self, path: &Path, access: Access) -> anyhow::Result<()> {
        account::hand_over(path, access)
    }

    fn hand_back(&mut self, path: &Path, before: Ownership) -> anyhow::Result<()> {
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        account::hand_back(path, before)
    }

    fn make_pair(&mut self, request: &Request) -> anyhow::Result<Pair> {
        generate::pair(request).context("failed to create a certificate")
    }

    fn start(&mut self, paths: &Paths) -> anyhow::Result<()> {
        if [Role::Cm, Role::Sg].into_iter().any(|role| units::keep(paths, role)) {
            return Ok(());
        }
        // To ask for its lock could keep one from taking it that was just started.
        let starts = self.started.as_mut().is_some_and(|started| started.ended().is_none());
        if !starts && !host::is_running(paths).context("failed to query the supervisor")? {
            self.started = Some(host::start(paths)?);
        }
        Ok(())
    }

    fn stop(&mut self, paths: &Paths) -> anyhow::Result<()> {
        host::stop(paths, self.started.take())
    }

    fn stop_role(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        if units::keep(paths, role) {
            return units::stop(role);
        }
        // A reboot may have come since it was started.
        if !host::is_running(paths).context("failed to query the supervisor")? {
            return Ok(());
        }
        host::order(paths, role, Order::Stop)
    }

    fn start_role(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        if units::keep(paths, role) {
            return units::start(role);
        }
        // It starts every role that has a configuration.
        if !host::is_running(paths).context("failed to query the supervisor")? {
            return self.start(paths);
        }
        self.log_start.get_or_insert_with(|| host::log_length(paths));
        host::order(paths, role, Order::Start)
    }

    fn supervisor_ended(&mut self) -> Option<String> {
        self.started.as_mut().and_then(Started::ended)
    }

    fn status(&mut self, paths: &Paths, role: Role) -> io::Result<Status> {
        socket::get(&paths.run(), role, "/status", STATUS_WAIT)
    }

    fn reload(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()> {
        socket::tell(&paths.run(), role, "/reload", RELOAD_WAIT)
            .with_context(|| format!("failed to make the {} reload its files", role.command()))
    }

    fn log_tail(&mut self, paths: &Paths, roles: &[Awaited]) -> Vec<String> {
        if self.engine.is_some() {
            return self.service_tail(roles);
        }
        if [Role::Cm, Role::Sg].into_iter().any(|role| units::keep(paths, role)) {
            return units::log_tail();
        }
        let tail = match (&self.started, self.log_start) {
            (Some(started), _) => started.log_tail(paths),
            (None, Some(start)) => host::log_tail(paths, start),
            (None, None) => return Vec::new(),
        };
        tail.unwrap_or_default()
    }

    fn pause(&mut self, time: Duration) -> bool {
        self.interrupt.wait(time)
    }
}

/// Puts a file in place at once, so that nobody ever reads half of it.
pub(super) fn replace(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<u64>,
) -> anyhow::Result<()> {
    let unfinished = unfinished(path);
    let write = || -> io::Result<()> {
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Whatever has that name meanwhile, a link above all, is not written through.
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        fill(&mut file)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_folder_of(path)
    };
    write().with_context(|| format!("failed to write `{}`", path.display())).inspect_err(|_| {
        let _ = fs::remove_file(&unfinished);
    })
}

/// Makes a change of names outlive a loss of power.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Says whether it was there to be changed.
fn unless_gone(result: io::Result<()>, path: &Path) -> anyhow::Result<bool> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        result => {
            let changed = result.and_then(|()| sync_folder_of(path));
            changed.with_context(|| format!("failed to change `{}`", path.display()))?;
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn real() -> Real {
        Real::new(Interrupt::watch().unwrap(), Progress::silent())
    }

    #[test]
    fn a_file_is_replaced_at_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let mut system = real();

        system.write(&path, &"one".into()).unwrap();
        system.write(&path, &"two".into()).unwrap();

        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_program_is_copied_and_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("true");
        let mut system = real();

        system.copy_executable(Path::new("/bin/true"), &path).unwrap();

        assert_eq!(mode(&path), 0o700);
        assert!(std::process::Command::new(&path).status().unwrap().success());
    }

    #[test]
    fn folders_are_made_once_and_removed_when_empty() {
        let root = tempfile::tempdir().unwrap();
        let (outer, inner) = (root.path().join("a"), root.path().join("a/b"));
        let mut system = real();

        system.make_folder(&outer).unwrap();
        system.make_folder(&outer).unwrap();
        system.make_folder(&inner).unwrap();
        system.remove_empty_folder(&outer).unwrap();

        assert_eq!(mode(&inner), 0o700);
        system.delete(&outer).unwrap();
        system.delete(&outer).unwrap();
        system.remove_empty_folder(&outer).unwrap();
        assert!(!outer.exists());
    }

    #[test]
    fn a_file_that_is_away_cannot_be_renamed_and_that_is_fine() {
        let root = tempfile::tempdir().unwrap();

        assert!(!real().rename(&root.path().join("a"), &root.path().join("b")).unwrap());
        assert!(real().make_folder(&root.path().join("a/b")).is_err());
    }
}
