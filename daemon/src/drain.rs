//! Whether a role takes new sessions. What was said holds until the contrary is, also over a
//! restart: a host that is taken out of service must not come back by a crash.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;

/// What load balancers, clients and announcers are told.
pub(crate) const REASON: &str = cmsg_config::socket::DRAINING;

/// A role's drain.
#[derive(Debug)]
pub struct Drain {
    /// It is there while the role drains.
    mark: PathBuf,
    is_on: AtomicBool,
}

impl Drain {
    /// As it was left in that folder.
    pub(crate) fn load(folder: &Path, role: &str) -> Self {
        let mark = folder.join(format!("{role}.draining"));
        let is_on = AtomicBool::new(mark.exists());
        Self { mark, is_on }
    }

    /// Whether new sessions are refused.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Begins or ends it.
    ///
    /// # Errors
    ///
    /// Where it cannot be written down; then nothing changes.
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
    fn it_outlives_a_restart_until_it_is_ended() {
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
    fn what_cannot_be_written_down_is_not_begun() {
        let drain = Drain::load(Path::new("/nowhere"), "role");

        assert!(drain.set(true).is_err());
        assert!(!drain.is_on());
    }
}
