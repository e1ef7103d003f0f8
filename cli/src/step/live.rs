//! Waits until the roles answer on their sockets.

use std::{fmt, time::Duration};

use cmsg_config::{Paths, socket::Role};

use super::Stopped;
use crate::system::System;

const EVERY: Duration = Duration::from_millis(100);
/// Half a minute in all.
const TIMES: u32 = 300;

/// Why not all roles are live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotLive {
    /// How the supervisor ended, if it did.
    pub(crate) ended: Option<String>,
    /// The roles that do not answer, and why not.
    pub(crate) roles: Vec<(Role, String)>,
    /// The last lines of what they logged.
    pub(crate) log: Vec<String>,
}

impl fmt::Display for NotLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(how) = &self.ended {
            return write!(f, "the supervisor of the roles ended with {how}");
        }
        for (index, (role, why)) in self.roles.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}the {} is not live: {why}", role.command().replace('-', " "))?;
        }
        Ok(())
    }
}

impl std::error::Error for NotLive {}

/// Waits for all of the roles, unless the operator interrupts.
///
/// # Errors
///
/// Where they do not answer in time or cannot any more.
pub(super) fn wait(paths: &Paths, roles: &[Role], system: &mut dyn System) -> Result<(), Stopped> {
    for _ in 0..TIMES {
        if is_settled(paths, roles, system) {
            break;
        }
        if system.pause(EVERY) {
            return Err(Stopped::Interrupted);
        }
    }
    judge(paths, roles, system).map_err(Stopped::NotLive)
}

/// Waits for all of the roles, whatever the operator wants: they are being brought back.
///
/// # Errors
///
/// As above, and where the host refuses.
pub(super) fn wait_again(
    paths: &Paths,
    roles: &[Role],
    system: &mut dyn System,
) -> anyhow::Result<()> {
    for _ in 0..TIMES {
        if is_settled(paths, roles, system) {
            break;
        }
        // One that was told to end is still there for a while, and then no other one is.
        system.start(paths)?;
        system.pause(EVERY);
    }
    Ok(judge(paths, roles, system)?)
}

fn is_settled(paths: &Paths, roles: &[Role], system: &mut dyn System) -> bool {
    roles.iter().all(|role| system.status(paths, *role).is_ok())
        || system.supervisor_ended().is_some()
}

fn judge(paths: &Paths, roles: &[Role], system: &mut dyn System) -> Result<(), NotLive> {
    let missing: Vec<_> = roles
        .iter()
        .filter_map(|role| Some((*role, system.status(paths, *role).err()?.to_string())))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let ended = system.supervisor_ended();
    Err(NotLive { ended, roles: missing, log: system.log_tail(paths) })
}
