//! What the supervisor reports about the services that it keeps running: `GET /roles`.

use std::{io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{SUPERVISOR, exchange, read_answer};

/// Both services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Supervised {
    /// The Connection Manager.
    pub cm: SupervisedRole,
    /// The Security Gateway.
    pub sg: SupervisedRole,
}

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SupervisedRole {
    /// Whether the supervisor starts it again when it exits.
    pub runs: bool,
    /// How often in a row it exited within a minute after its start.
    pub crashes: u32,
}

/// Asks the supervisor whose socket is in that directory.
///
/// # Errors
///
/// What the system says, and `InvalidData` for a supervisor of an earlier version.
pub fn supervised(run: &Path, wait: Duration) -> io::Result<Supervised> {
    read_answer(&exchange((run, SUPERVISOR), "GET /roles", &[], wait)?)
}
