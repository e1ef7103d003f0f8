//! Looks for the journal of a command that was killed. Whoever could plant one could have files
//! moved and deleted, so it counts only where this user wrote it.

use std::{io, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context as _;
use cmsg_config::Paths;
use nix::unistd::Pid;

use crate::{
    apply::journal::{self, Journal},
    finding::Finding,
    trusted::{self, Untrusted, open_to_others},
};

/// Reads the journal, if there is one.
///
/// # Errors
///
/// Where it is not this user's, or cannot be read.
pub(crate) fn journal(paths: &Paths) -> anyhow::Result<Option<Journal>> {
    let path = journal::path(paths);
    let what = || format!("an interrupted command left `{}`", path.display());
    let Some(file) = trusted::read(&path).with_context(what)? else { return Ok(None) };
    Journal::parse(&file.content.text()).map(Some).with_context(what)
}

/// What a command that changes nothing tells of it.
pub(crate) fn finding(paths: &Paths) -> Option<Finding> {
    const ID: &str = "installation.interrupted";
    match journal(paths) {
        Ok(None) => None,
        Ok(Some(journal)) => {
            let how = if journal.is_settled { "finishes it" } else { "first undoes it" };
            let cure = format!("the next command that changes the installation {how}");
            Some(Finding::warning(ID, told(&journal, is_alive(journal.pid)), cure))
        }
        // Without the rights for it, nothing is known of it; the command's other files say so as well.
        Err(error) if is_denied(&error) => None,
        Err(error) => {
            let fix = Untrusted::cause(&error).map_or(BY_HAND, Untrusted::fix);
            Some(Finding::warning(ID, format!("{error:#}"), fix))
        }
    }
}

fn is_denied(error: &anyhow::Error) -> bool {
    let is_denied = |cause: &(dyn std::error::Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
    };
    error.chain().any(is_denied)
}

/// What to do about a journal that cannot be used.
pub(crate) const BY_HAND: &str = "use the version that wrote it, or undo by hand the steps that it \
                                  lists as begun, then remove it";

/// What happened, for people.
pub(crate) fn told(journal: &Journal, may_be_at_work: bool) -> String {
    let Journal { command, pid, .. } = journal;
    let how = if may_be_at_work { "is running, or was interrupted" } else { "was interrupted" };
    if journal.is_settled {
        return format!("`{command}` (process {pid}) {how} while it was cleaning up");
    }
    format!("`{command}` (process {pid}) {how} at `{}`", journal.last())
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    pid.is_some_and(|pid| nix::sys::signal::kill(Pid::from_raw(pid), None).is_ok())
}

/// Refuses folders of the installation that everybody may write to: whoever puts a link there
/// decides where the installer writes.
///
/// # Errors
///
/// Names the first such folder.
pub(crate) fn refuse_open(folders: &[impl AsRef<Path>]) -> anyhow::Result<()> {
    for folder in folders.iter().map(AsRef::as_ref) {
        if let Ok(there) = folder.metadata()
            && there.permissions().mode() & 0o002 != 0
        {
            return Err(open_to_others(folder, &there).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_that_may_not_be_read_is_no_sign_of_an_interruption() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let damaged = io::Error::from(io::ErrorKind::InvalidData);

        assert!(is_denied(&anyhow::Error::from(denied).context("reading it")));
        assert!(!is_denied(&anyhow::Error::from(damaged).context("reading it")));
    }
}
