//! One step of a plan: what it changes, how it is performed and what it leaves to undo.

pub(crate) mod firewall;
pub(crate) mod kernel;
mod live;
pub(crate) mod trace;
pub(crate) mod units;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::bail;
use cmsg_config::{Paths, socket::Role};

use crate::{
    content::Content,
    pki::generate::{Key, Request, SIGNING_DAYS, TLS_DAYS},
    plan::{
        account::{self, Change},
        layout,
    },
    system::System,
};
use firewall::FirewallStep;
use kernel::KernelStep;
pub(crate) use live::NotLive;
use trace::{Trace, aside};
use units::Units;

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
        /// Which.
        roles: Vec<Role>,
        /// Where they listen, for people.
        listens: Vec<String>,
    },
    /// Makes the account that runs the roles.
    MakeAccount,
    /// Gives files and folders to whom they belong.
    HandOver(Vec<Change>),
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
        Self::Failed(error)
    }
}

impl Stopped {
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
                let pair = system.make_pair(request)?;
                let chain = [pair.certificate.bytes(), followed_by.bytes()].concat();
                for (path, is_there, content) in [
                    (key, *replaces_key, pair.key),
                    (certificate, *replaces_certificate, chain.into()),
                ] {
                    put_aside(path, is_there, system)?;
                    system.write(path, &content)?;
                }
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
            // They go when what is aside is gone.
            Self::RemoveEmptyFolders(_) | Self::RemoveAccount => {}
        }
        Ok(())
    }

    /// What it leaves until the plan is settled, in its order.
    pub(crate) fn traces(&self) -> Vec<Trace> {
        let file = |path: &PathBuf, is_there: bool| match is_there {
            true => Trace::Replaced(path.clone()),
            false => Trace::New(path.clone()),
        };
        match self {
            Self::MakeFolders { folders, .. } => vec![Trace::Folders(folders.clone())],
            Self::Write { path, replaces, .. } => vec![file(path, *replaces)],
            Self::Remove(path) => vec![file(path, true)],
            Self::MakeCertificate {
                key, certificate, replaces_key, replaces_certificate, ..
            } => vec![file(key, *replaces_key), file(certificate, *replaces_certificate)],
            Self::CopyDaemon { to, replaces, .. } => vec![file(to, *replaces)],
            Self::Stop { roles, .. } => vec![Trace::Stopped(roles.clone())],
            Self::Start { has_log, .. } => vec![Trace::Started { has_log: *has_log }],
            Self::StopRole { role, .. } => vec![Trace::StoppedRole(*role)],
            Self::StartRole { role, .. } => vec![Trace::StartedRole(*role)],
            Self::AwaitLive { .. } => Vec::new(),
            Self::Delete(paths) => paths.iter().map(|path| file(path, true)).collect(),
            Self::Firewall(step) => vec![Trace::Firewall(step.clone())],
            Self::Kernel(step) => vec![Trace::Kernel(step.clone())],
            Self::MakeAccount => vec![Trace::NewAccount],
            Self::HandOver(changes) => {
                let before = |it: &Change| Some(Trace::HandedOver(it.path.clone(), it.before?));
                changes.iter().filter_map(before).collect()
            }
            Self::Units(units) => units.traces(),
            Self::RemoveAccount => vec![Trace::AccountGoes],
            Self::RemoveEmptyFolders(folders) => vec![Trace::Emptied(folders.clone())],
        }
    }

    /// What it does, in a few words.
    pub(crate) fn name(&self) -> String {
        let file = |path: &Path| {
            path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
        };
        match self {
            Self::MakeFolders { .. } => "make folders".to_owned(),
            Self::Write { path, .. } => format!("write {}", file(path)),
            Self::Remove(path) => format!("remove {}", file(path)),
            Self::MakeCertificate { certificate, .. } => format!("make {}", file(certificate)),
            Self::CopyDaemon { .. } => "copy the daemon".to_owned(),
            Self::Stop { .. } => "stop the roles".to_owned(),
            Self::Start { .. } => "start the roles".to_owned(),
            Self::StopRole { role, .. } => format!("stop the {}", named(*role)),
            Self::StartRole { role, .. } => format!("start the {}", named(*role)),
            Self::AwaitLive { .. } => "wait until live".to_owned(),
            Self::Delete(_) => "delete files".to_owned(),
            Self::Firewall(_) => "set the firewall".to_owned(),
            Self::Kernel(_) => "set the kernel".to_owned(),
            Self::MakeAccount => format!("make the account {}", account::NAME),
            Self::HandOver(_) => "give files to the account".to_owned(),
            Self::Units(_) => "change the units of systemd".to_owned(),
            Self::RemoveAccount => format!("remove the account {}", account::NAME),
            Self::RemoveEmptyFolders(_) => "remove empty folders".to_owned(),
        }
    }

    /// What is different afterwards.
    pub(crate) fn changes(&self) -> String {
        match self {
            Self::MakeFolders { folders, .. } => format!("new: {}", List(folders)),
            Self::Write { path, replaces, .. } => written(path, *replaces),
            Self::Remove(path) => format!("removed: `{}`", path.display()),
            Self::MakeCertificate { request, key, certificate, .. } => {
                format!("{} in {}", pair(request), List(&[certificate.clone(), key.clone()]))
            }
            Self::CopyDaemon { from, to, .. } => {
                format!("`{}`, copied from `{}`", to.display(), from.display())
            }
            Self::Stop { .. } => "sessions end; clients cannot connect for some seconds".to_owned(),
            Self::Start { paths, .. } => {
                let log = layout::supervise_log(paths);
                format!("a supervisor runs the roles and logs to `{}`", log.display())
            }
            Self::StopRole { role, .. } => match role {
                Role::Cm => "nobody can log on for some seconds; sessions go on".to_owned(),
                Role::Sg => "sessions through the gateway pause for some seconds".to_owned(),
            },
            Self::StartRole { .. } => "it reads its files, and runs".to_owned(),
            Self::AwaitLive { listens, .. } => {
                format!("nothing; the roles listen on {}", listens.join(", "))
            }
            Self::Delete(paths) => format!("gone: {}", List(paths)),
            Self::Firewall(step) => step.changes(),
            Self::Kernel(step) => step.changes(),
            Self::MakeAccount => {
                format!("new: the system user and group `{}`, which run the roles", account::NAME)
            }
            Self::HandOver(changes) => {
                let paths: Vec<_> = changes.iter().map(|change| change.path.clone()).collect();
                format!("owner, group and mode of {}", List(&paths))
            }
            Self::Units(units) => units.changes(),
            Self::RemoveAccount => format!("gone: the user and group `{}`", account::NAME),
            Self::RemoveEmptyFolders(folders) => format!("gone, if empty: {}", List(folders)),
        }
    }

    /// What undoing does.
    pub(crate) fn undoing(&self) -> &'static str {
        match self {
            Self::MakeFolders { .. } => "the folders are removed",
            Self::Write { replaces: true, .. } | Self::Remove(_) => "the old file is put back",
            Self::Write { replaces: false, .. } => "the file is removed",
            Self::MakeCertificate { replaces_certificate: true, .. } => {
                "the old files are put back"
            }
            Self::MakeCertificate { replaces_certificate: false, .. } => "both files are removed",
            Self::CopyDaemon { replaces: true, .. } => "the old daemon is put back",
            Self::CopyDaemon { replaces: false, .. } => "the daemon is removed",
            Self::Stop { .. } => "the roles are started again",
            Self::Start { .. } => "the roles are stopped",
            Self::StopRole { .. } => "it is started again",
            Self::StartRole { .. } => "it is stopped",
            Self::AwaitLive { .. } => "nothing to undo",
            Self::Delete(_) => "all is put back",
            Self::Firewall(_) => "the rules are set as they were",
            Self::Kernel(_) => "the values are set as they were",
            Self::MakeAccount => "the account is removed",
            Self::HandOver(_) => "owners and modes are set as they were",
            Self::Units(_) => "the units are as they were",
            Self::RemoveAccount => "it stays until all else is done",
            Self::RemoveEmptyFolders(_) => "they stay until all else is done",
        }
    }
}

fn named(role: Role) -> String {
    role.command().replace('-', " ")
}

/// Keeps what will be replaced.
fn put_aside(path: &Path, is_there: bool, system: &mut dyn System) -> anyhow::Result<()> {
    if is_there && !system.rename(path, &aside(path))? {
        bail!("`{}` is gone since it was read", path.display());
    }
    Ok(())
}

fn written(path: &Path, is_there: bool) -> String {
    let how = if is_there { "changed" } else { "new" };
    format!("{how}: `{}`", path.display())
}

fn pair(request: &Request) -> String {
    match &request.key {
        Key::NewRsa => format!(
            "self-signed certificate with an RSA key of 3072 bits, valid for {TLS_DAYS} days, for {}",
            request.names.join(", ")
        ),
        Key::NewP256 => format!(
            "key that signs announcements (P-256) and its certificate, valid for {SIGNING_DAYS} days"
        ),
        Key::Given(_) => "certificate of the given key that signs announcements".to_owned(),
    }
}

/// Paths as a list for people.
struct List<'a>(&'a [PathBuf]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", path.display())?;
        }
        Ok(())
    }
}
