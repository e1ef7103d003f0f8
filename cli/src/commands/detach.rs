//! `detach`: becomes another program in a session of its own. The installer starts the supervisor
//! through it, since a session cannot be left once the terminal's process runs on. Until the supervisor
//! holds its lock nobody could find it but the installer that started it, so it ends with that one.

use std::{ffi::OsString, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, bail};
use nix::{
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::Signal,
    },
    unistd::{Pid, getppid},
};

use super::Ended;
use crate::{exit::Exit, installation::account, runtime::host::rights};

/// Runs the command; returns only where that fails.
pub(super) fn run(as_account: bool, started_by: i32, command: &[OsString]) -> Result<Exit, Ended> {
    let [program, arguments @ ..] = command else { return Ok(Exit::Usage) };
    nix::unistd::setsid().context("failed to begin a session")?;
    if as_account {
        // As in a unit: no secret ends in a core dump.
        setrlimit(Resource::RLIMIT_CORE, 0, 0).context("failed to forbid core dumps")?;
        rights::give_up(account::numbers()?)?;
    }
    // A change of the user would take it back.
    follow(started_by)?;
    let error = Command::new(program).args(arguments).exec();
    let error = anyhow::Error::from(error)
        .context(format!("failed to run `{}`", program.to_string_lossy()));
    Err(error.into())
}

/// Has the kernel end this process when that one ends.
fn follow(installer: i32) -> anyhow::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("failed to follow the installer")?;
    if getppid() != Pid::from_raw(installer) {
        bail!("the installer ended before the supervisor started");
    }
    Ok(())
}
