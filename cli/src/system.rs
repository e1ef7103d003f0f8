//! Every effect on a host. The real one performs, the recorder of the tests notes.

mod account;
mod engine;
mod firewall;
mod kernel;
mod real;
#[cfg(test)]
pub(crate) mod recorder;
pub(crate) mod units;

use std::{path::Path, time::Duration};

use cmsg_config::{
    Paths,
    socket::{Role, Status},
};

use crate::{
    content::Content,
    installation::account::{Access, Ownership},
    pki::generate::{Pair, Request},
};
pub(crate) use engine::EngineSystem;
pub(crate) use firewall::FirewallSystem;
pub(crate) use kernel::KernelSystem;
pub(crate) use real::Real;
use units::Units;

/// A role that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) role: Role,
    /// What its deployment is called, in Docker Swarm; another one's answer does not count.
    pub(crate) deployment: Option<String>,
    /// Whether it was ready, and has to be so again.
    pub(crate) was_ready: bool,
}

impl From<Role> for Awaited {
    fn from(role: Role) -> Self {
        Self { role, deployment: None, was_ready: false }
    }
}

/// Who asks a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) user: String,
    pub(crate) password: Content,
}

/// What steps do to a host.
pub(crate) trait System: EngineSystem + FirewallSystem + KernelSystem + Units {
    /// Makes a folder; one that is there stays as it is.
    fn make_folder(&mut self, path: &Path) -> anyhow::Result<()>;

    /// Removes a folder if it is empty.
    fn remove_empty_folder(&mut self, path: &Path) -> anyhow::Result<()>;

    /// Writes a file that only its owner reads, at once or not at all.
    fn write(&mut self, path: &Path, content: &Content) -> anyhow::Result<()>;

    /// Copies a program, at once or not at all.
    fn copy_executable(&mut self, from: &Path, to: &Path) -> anyhow::Result<()>;

    /// Renames a file or folder; says whether it was there.
    fn rename(&mut self, from: &Path, to: &Path) -> anyhow::Result<bool>;

    /// Deletes a file or a whole folder; one that is not there stays away.
    fn delete(&mut self, path: &Path) -> anyhow::Result<()>;

    /// Makes the account that runs the roles.
    fn make_account(&mut self) -> anyhow::Result<()>;

    /// Removes the account, as far as it is there.
    fn remove_account(&mut self) -> anyhow::Result<()>;

    /// Gives a file or folder to whom it belongs.
    fn hand_over(&mut self, path: &Path, access: Access) -> anyhow::Result<()>;

    /// Gives it back; one that is gone needs no owner.
    fn hand_back(&mut self, path: &Path, before: Ownership) -> anyhow::Result<()>;

    /// Makes a key and its certificate.
    fn make_pair(&mut self, request: &Request) -> anyhow::Result<Pair>;

    /// Starts the supervisor in a session of its own, unless one runs or systemd keeps the roles.
    fn start(&mut self, paths: &Paths) -> anyhow::Result<()>;

    /// Stops the supervisor, if one runs, and waits until it is gone.
    fn stop(&mut self, paths: &Paths) -> anyhow::Result<()>;

    /// Has its unit, or else the supervisor, stop one role and waits until it has; without a
    /// supervisor none runs.
    fn stop_role(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()>;

    /// Has its unit, or else the supervisor, start one role; without a supervisor, starts that with
    /// all its roles.
    fn start_role(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()>;

    /// How the supervisor that was started has ended, if it has.
    fn supervisor_ended(&mut self) -> Option<String>;

    /// Asks a role how it is.
    fn status(&mut self, paths: &Paths, role: Role) -> std::io::Result<Status>;

    /// Has a role read its certificates and keys again.
    fn reload(&mut self, paths: &Paths, role: Role) -> anyhow::Result<()>;

    /// The last lines that the supervisor and these roles logged.
    fn log_tail(&mut self, paths: &Paths, roles: &[Awaited]) -> Vec<String>;

    /// Lets time pass; says whether the operator interrupted it, then or before.
    fn pause(&mut self, time: Duration) -> bool;
}
