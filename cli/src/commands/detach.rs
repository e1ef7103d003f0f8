//! `detach`: becomes another program in a session of its own. The installer starts the supervisor
//! through it, since a session cannot be left once the terminal's process runs on.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use anyhow::Context as _;

use super::{Ended, Exit};
use crate::{host::account, runtime::host::rights};

/// Runs the command; returns only where that fails.
pub(super) fn run(as_account: bool, command: &[OsString]) -> Result<Exit, Ended> {
    let [program, arguments @ ..] = command else { return Ok(Exit::Usage) };
    nix::unistd::setsid().context("failed to begin a session")?;
    if as_account {
        rights::give_up(account::numbers()?)?;
    }
    let error = Command::new(program).args(arguments).exec();
    let error = anyhow::Error::from(error)
        .context(format!("failed to run `{}`", program.to_string_lossy()));
    Err(error.into())
}
