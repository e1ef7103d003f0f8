//! Whether a role accepts new sessions. The setting survives a restart: a crash must not end the
//! maintenance of a host.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;

/// The reason for load balancers, clients and Connection Managers.
pub(crate) const REASON: &str = cmsg_config::socket::DRAINING;

#[derive(Debug)]
pub struct Drain {
    /// This file exists while the role drains.
    mark: PathBuf,
    is_on: AtomicBool,
}

impl Drain {
    pub(crate) fn load(folder: &Path, role: &str) -> Self {
        let mark = folder.join(format!("{role}.draining"));
        let is_on = AtomicBool::new(mark.exists());
        Self { mark, is_on }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Starts or ends draining.
    ///
    /// # Errors
    ///
    /// If the setting cannot be persisted. It is then unchanged.
    pub(crate) fn set(&self, on: bool) -> anyhow::Result<()> {
        let written = match on {
            true => File::create(&self.mark).and_then(|mark| mark.sync_all()),
            false => match fs::remove_file(&self.mark) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        written.with_context(|| format!("writing `{}`", self.mark.display()))?;
        self.is_on.store(on, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draining_survives_a_restart_until_it_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Drain::load(folder.path(), "role");

        assert!(!load().is_on());
        load().set(true).unwrap();
        assert!(load().is_on());
        load().set(true).unwrap();
        load().set(false).unwrap();
        load().set(false).unwrap();
        assert!(!load().is_on());
    }

    #[test]
    fn draining_does_not_start_if_it_cannot_be_persisted() {
        let drain = Drain::load(Path::new("/nowhere"), "role");

        assert!(drain.set(true).is_err());
        assert!(!drain.is_on());
    }
}
