//! What a step leaves on the host until its plan is settled: enough to take it back or to finish it,
//! also for another process. It holds no content, so that a journal of it holds no secret.

use std::path::{Path, PathBuf};

use cmsg_config::{Paths, socket::Role};
use serde::{Deserialize, Serialize};

use super::{
    engine::EngineTrace, firewall::FirewallStep, kernel::KernelStep, live, units::UnitsTrace,
};
use crate::{
    installation::{
        account::{Found, NAME},
        layout::{self, aside, unfinished},
    },
    system::System,
};

/// One thing that a step leaves. To undo or to finish it does no harm where the step was performed
/// in part or not at all, nor when it is done twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Trace {
    /// What was there waits aside.
    Replaced(PathBuf),
    /// A file is there that was not.
    New(PathBuf),
    /// Folders are there that were not, outer ones first.
    Folders(Vec<PathBuf>),
    /// Rules of firewalld were others.
    Firewall(FirewallStep),
    /// Settings of the kernel had other values.
    Kernel(KernelStep),
    /// The account is there that was not.
    NewAccount,
    /// The owner, group and mode of a path were these.
    HandedOver(PathBuf, Found),
    /// systemd's units have changed.
    Units(UnitsTrace),
    /// The account goes when everything else is done.
    AccountGoes,
    /// Folders go when everything else is done, inner ones first.
    Emptied(Vec<PathBuf>),
    /// These roles ran.
    Stopped(Vec<Role>),
    /// This role ran.
    StoppedRole(Role),
    /// This role did not run beside the others.
    StartedRole(Role),
    /// These roles read certificates and keys that are back by then.
    Reloaded(Vec<Role>),
    /// Something at the Docker engine.
    Engine(EngineTrace),
    /// No role ran; whether the supervisor's log was there.
    Started {
        /// Whether it was.
        has_log: bool,
    },
}

impl Trace {
    /// That of a file that a step writes or removes.
    pub(super) fn file(path: &Path, is_there: bool) -> Self {
        if is_there { Self::Replaced(path.to_owned()) } else { Self::New(path.to_owned()) }
    }

    /// Brings back what was there.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    pub(crate) fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::Replaced(path) => {
                system.delete(&unfinished(path))?;
                system.rename(&aside(path), path).map(drop)
            }
            Self::New(path) => {
                system.delete(&unfinished(path))?;
                system.delete(path)
            }
            Self::Folders(folders) => unmake(folders, paths, system),
            Self::Firewall(step) => step.undo(system),
            Self::Kernel(step) => step.undo(system),
            Self::NewAccount => system.remove_account(),
            Self::HandedOver(path, before) => system.hand_back(path, *before),
            Self::Units(units) => units.undo(paths, system),
            Self::Emptied(_) | Self::AccountGoes => Ok(()),
            Self::Stopped(roles) => {
                system.start(paths)?;
                live::wait_again(paths, roles, system)
            }
            Self::StoppedRole(role) => {
                system.start_role(paths, *role)?;
                live::wait_again(paths, &[*role], system)
            }
            Self::StartedRole(role) => system.stop_role(paths, *role),
            // One that does not run reads them when it starts.
            Self::Reloaded(roles) => roles
                .iter()
                .filter(|role| system.status(paths, **role).is_ok())
                .collect::<Vec<_>>()
                .into_iter()
                .try_for_each(|role| system.reload(paths, *role)),
            Self::Engine(trace) => trace.undo(paths, system),
            Self::Started { has_log } => {
                system.stop(paths)?;
                if *has_log {
                    return Ok(());
                }
                let log = layout::supervise_log(paths);
                let mut left = layout::run_files(paths).into_iter().chain([log]);
                left.try_for_each(|file| system.delete(&file))
            }
        }
    }

    /// Throws away what was kept for undoing.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    pub(crate) fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::Replaced(path) => system.delete(&aside(path)),
            Self::Emptied(folders) => {
                folders.iter().try_for_each(|folder| system.remove_empty_folder(folder))
            }
            Self::AccountGoes => system.remove_account(),
            Self::Engine(trace) => trace.finish(system),
            _ => Ok(()),
        }
    }

    /// How an operator undoes it who has to do it without the installer.
    pub(crate) fn undoing_by_hand(&self) -> String {
        match self {
            Self::Replaced(path) => {
                let (from, to) = (aside(path), path.display());
                format!("move `{}`, if it is there, to `{to}`", from.display())
            }
            Self::New(path) => format!("remove `{}`", path.display()),
            Self::Folders(folders) => format!("remove {}", super::List(folders)),
            Self::Firewall(step) => step.undoing_by_hand(),
            Self::Kernel(step) => step.undoing_by_hand(),
            Self::NewAccount => format!("run `userdel {NAME}`"),
            Self::HandedOver(path, Found { user, group, mode, .. }) => {
                let path = path.display();
                format!("run `chown {user}:{group} {path}` and `chmod {mode:o} {path}`")
            }
            Self::Units(units) => units.undoing_by_hand(),
            Self::Emptied(_) | Self::AccountGoes => "do nothing".to_owned(),
            Self::Stopped(_) => "start the roles".to_owned(),
            Self::StoppedRole(role) => format!("start the {}", super::named(*role)),
            Self::StartedRole(role) => format!("stop the {}", super::named(*role)),
            Self::Started { .. } => "stop the roles".to_owned(),
            Self::Reloaded(_) => "restart the roles".to_owned(),
            Self::Engine(trace) => trace.undoing_by_hand(),
        }
    }

    /// How an operator finishes it who has to do it without the installer.
    pub(crate) fn finishing_by_hand(&self) -> String {
        match self {
            Self::Replaced(path) => format!("remove `{}`", aside(path).display()),
            Self::Emptied(folders) => format!("remove {}, if empty", super::List(folders)),
            Self::AccountGoes => format!("run `userdel {NAME}`"),
            Self::Engine(trace) => trace.finishing_by_hand(),
            _ => "do nothing".to_owned(),
        }
    }
}

/// Folders of ours go with what the roles have put there, others only when empty.
fn unmake(folders: &[PathBuf], paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
    let own = layout::own_folders(paths);
    folders.iter().rev().try_for_each(|folder| {
        if own.contains(folder) {
            system.delete(folder)
        } else {
            system.remove_empty_folder(folder)
        }
    })
}

#[cfg(test)]
mod tests;
