//! One step of a plan: what it changes, how it is performed and what it leaves to undo.

pub(crate) mod adopt;
pub(crate) mod engine;
pub(crate) mod firewall;
pub(crate) mod kernel;
mod live;
pub(crate) mod trace;
pub(crate) mod units;
mod words;

use std::path::{Path, PathBuf};

use anyhow::bail;
use cmsg_config::{Paths, socket::Role};
use cmsg_engine::{PullError, Refusal};

pub(crate) use crate::system::Awaited;
use crate::{
    content::Content,
    installation::{account::AccessChange, layout::aside},
    pki::generate::Request,
    progress::StepText,
    system::System,
};
use adopt::Adopting;
use engine::EngineStep;
use firewall::FirewallStep;
use kernel::KernelStep;
pub(crate) use live::NotLive;
use trace::Trace;
use units::Units;
use words::{List, named, written};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Makes folders, outer ones first.
    MakeFolders {
        /// Whose.
        paths: Paths,
        /// Which.
        folders: Vec<PathBuf>,
    },
    /// Writes a file.
    Write {
        /// Where.
        path: PathBuf,
        /// What.
        content: Content,
        /// Whether one is there.
        replaces: bool,
    },
    /// Removes a file.
    Remove(PathBuf),
    /// Makes a certificate, and its key unless that is given, and writes both.
    MakeCertificate {
        /// What is made.
        request: Request,
        /// Certificates that stand behind it in the file.
        followed_by: Content,
        /// Where the key lies.
        key: PathBuf,
        /// Where the certificate lies.
        certificate: PathBuf,
        /// Whether a key is there.
        replaces_key: bool,
        /// Whether a certificate is there.
        replaces_certificate: bool,
    },
    /// Copies the daemon.
    CopyDaemon {
        /// From where.
        from: PathBuf,
        /// To where.
        to: PathBuf,
        /// Whether one is there.
        replaces: bool,
    },
    /// Stops the supervisor and with it the roles.
    Stop {
        /// Whose.
        paths: Paths,
        /// The roles that it runs.
        roles: Vec<Role>,
    },
    /// Starts the supervisor, which starts the roles.
    Start {
        /// Whose.
        paths: Paths,
        /// Whether its log is there.
        has_log: bool,
    },
    /// Stops one role; the other runs on.
    StopRole {
        /// Whose.
        paths: Paths,
        /// Which.
        role: Role,
    },
    /// Starts one role.
    StartRole {
        /// Whose.
        paths: Paths,
        /// Which.
        role: Role,
    },
    /// Waits until the roles answer.
    AwaitLive {
        /// Whose.
        paths: Paths,
        /// Which, and how.
        roles: Vec<Awaited>,
        /// Where they listen, for people.
        listens: Vec<String>,
    },
    /// Has a role read its certificates and keys again.
    Reload {
        /// Whose.
        paths: Paths,
        /// Which.
        role: Role,
    },
    /// Changes nothing: what runs comes back when all that follows is undone.
    Hold(Vec<Trace>),
    /// Takes another installation over.
    Adopt(Adopting),
    /// Something at the Docker engine.
    Engine(EngineStep),
    /// Makes the account that runs the roles.
    MakeAccount,
    /// Gives files and folders to whom they belong.
    HandOver(Vec<AccessChange>),
    /// Changes systemd's units.
    Units(Units),
    /// Removes the account when all else is done.
    RemoveAccount,
    /// Changes rules of firewalld.
    Firewall(FirewallStep),
    /// Sets what the kernel holds.
    Kernel(KernelStep),
    /// Deletes files and whole folders.
    Delete(Vec<PathBuf>),
    /// Removes folders that are empty when all else is done.
    RemoveEmptyFolders(Vec<PathBuf>),
}

/// Why a step was not performed.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It failed.
    Failed(anyhow::Error),
    /// The roles do not answer.
    NotLive(NotLive),
    /// The operator interrupted it.
    Interrupted,
}

impl From<anyhow::Error> for Stopped {
    fn from(error: anyhow::Error) -> Self {
        let is_cancelled = |error: &PullError| error.why == Refusal::Cancelled;
        if error.downcast_ref().is_some_and(is_cancelled) {
            return Self::Interrupted;
        }
        Self::Failed(error)
    }
}

impl Stopped {
    /// What an operator can do about the cause, where that is known.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(error) => error.downcast_ref::<PullError>()?.hint(),
            Self::NotLive(_) | Self::Interrupted => None,
        }
    }

    /// The error to tell.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Failed(error) => error,
            Self::NotLive(why) => why.into(),
            Self::Interrupted => anyhow::anyhow!("interrupted"),
        }
    }
}

impl Step {
    /// Performs it. What it replaces or removes waits aside.
    ///
    /// # Errors
    ///
    /// Where the host refuses, or the operator.
    pub(crate) fn perform(&self, system: &mut dyn System) -> Result<(), Stopped> {
        match self {
            Self::MakeFolders { folders, .. } => {
                folders.iter().try_for_each(|folder| system.make_folder(folder))?;
            }
            Self::Write { path, content, replaces } => {
                put_aside(path, *replaces, system)?;
                system.write(path, content)?;
            }
            Self::Remove(path) => put_aside(path, true, system)?,
            Self::MakeCertificate {
                request,
                followed_by,
                key,
                certificate,
                replaces_key,
                replaces_certificate,
            } => {
                let files = [(key, *replaces_key), (certificate, *replaces_certificate)];
                make_certificate(request, followed_by, files, system)?;
            }
            Self::CopyDaemon { from, to, replaces } => {
                put_aside(to, *replaces, system)?;
                system.copy_executable(from, to)?;
            }
            Self::Stop { paths, .. } => system.stop(paths)?,
            Self::Start { paths, .. } => system.start(paths)?,
            Self::StopRole { paths, role } => system.stop_role(paths, *role)?,
            Self::StartRole { paths, role } => system.start_role(paths, *role)?,
            Self::AwaitLive { paths, roles, .. } => live::wait(paths, roles, system)?,
            // What is not there need not go.
            Self::Delete(paths) => {
                paths.iter().try_for_each(|path| system.rename(path, &aside(path)).map(drop))?;
            }
            Self::Firewall(step) => step.perform(system)?,
            Self::Kernel(step) => step.perform(system)?,
            Self::MakeAccount => system.make_account()?,
            Self::HandOver(changes) => {
                changes.iter().try_for_each(|it| system.hand_over(&it.path, it.access))?;
            }
            Self::Units(units) => units.perform(system)?,
            Self::Reload { paths, role } => system.reload(paths, *role)?,
            Self::Adopt(step) => step.perform(system)?,
            Self::Engine(step) => step.perform(system)?,
            Self::Hold(_) => {}
            // They go when what is aside is gone.
            Self::RemoveEmptyFolders(_) | Self::RemoveAccount => {}
        }
        Ok(())
    }

    /// What is said of it while it is performed.
    pub(crate) fn text(&self) -> StepText {
        StepText {
            name: self.name().to_owned(),
            changes: self.changes(),
            undoing: self.undoing().into(),
        }
    }

    /// What it leaves until the plan is settled, in its order.
    pub(crate) fn traces(&self) -> Vec<Trace> {
        match self {
            Self::MakeFolders { folders, .. } => vec![Trace::Folders(folders.clone())],
            Self::Write { path, replaces, .. } => vec![Trace::file(path, *replaces)],
            Self::Remove(path) => vec![Trace::file(path, true)],
            Self::MakeCertificate {
                key, certificate, replaces_key, replaces_certificate, ..
            } => vec![
                Trace::file(key, *replaces_key),
                Trace::file(certificate, *replaces_certificate),
            ],
            Self::CopyDaemon { to, replaces, .. } => vec![Trace::file(to, *replaces)],
            Self::Stop { roles, .. } => vec![Trace::Stopped(roles.clone())],
            Self::Start { has_log, .. } => vec![Trace::Started { has_log: *has_log }],
            Self::StopRole { role, .. } => vec![Trace::StoppedRole(*role)],
            Self::StartRole { role, .. } => vec![Trace::StartedRole(*role)],
            Self::AwaitLive { .. } | Self::Reload { .. } | Self::Adopt(_) => Vec::new(),
            Self::Hold(traces) => traces.clone(),
            Self::Engine(step) => step.traces(),
            Self::Delete(paths) => paths.iter().map(|path| Trace::file(path, true)).collect(),
            Self::Firewall(step) => vec![Trace::Firewall(step.clone())],
            Self::Kernel(step) => vec![Trace::Kernel(step.clone())],
            Self::MakeAccount => vec![Trace::NewAccount],
            Self::HandOver(changes) => {
                let before =
                    |it: &AccessChange| Some(Trace::HandedOver(it.path.clone(), it.before?));
                changes.iter().filter_map(before).collect()
            }
            Self::Units(units) => units.traces(),
            Self::RemoveAccount => vec![Trace::AccountGoes],
            Self::RemoveEmptyFolders(folders) => vec![Trace::Emptied(folders.clone())],
        }
    }
}

/// Makes a key and its certificate, and writes both.
fn make_certificate(
    request: &Request,
    followed_by: &Content,
    files: [(&PathBuf, bool); 2],
    system: &mut dyn System,
) -> anyhow::Result<()> {
    let pair = system.make_pair(request)?;
    let chain = [pair.certificate.bytes(), followed_by.bytes()].concat();
    for ((path, is_there), content) in files.into_iter().zip([pair.key, chain.into()]) {
        put_aside(path, is_there, system)?;
        system.write(path, &content)?;
    }
    Ok(())
}

/// Keeps what will be replaced.
fn put_aside(path: &Path, is_there: bool, system: &mut dyn System) -> anyhow::Result<()> {
    if is_there && !system.rename(path, &aside(path))? {
        bail!("`{}` is gone since it was read", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
