//! One step of a plan: what it changes, how it is performed and how it is undone. To undo does no
//! harm where the step was performed in part or not at all.

mod live;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use cmsg_config::{Paths, socket::Role};

use crate::{
    content::Content,
    pki::generate::{Key, Request, SIGNING_DAYS, TLS_DAYS},
    plan::layout,
    system::System,
};
pub(crate) use live::NotLive;

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
        /// What was there.
        old: Option<Content>,
    },
    /// Removes a file that can be written again.
    Remove {
        /// Which.
        path: PathBuf,
        /// What was there.
        old: Content,
    },
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
        /// The key that was there.
        old_key: Option<Content>,
        /// The certificate that was there.
        old_certificate: Option<Content>,
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
    /// Deletes files and whole folders, for good.
    Delete(Vec<PathBuf>),
    /// Removes folders that are empty, for good.
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
    /// Performs it.
    ///
    /// # Errors
    ///
    /// Where the host refuses, or the operator.
    pub(crate) fn perform(&self, system: &mut dyn System) -> Result<(), Stopped> {
        match self {
            Self::MakeFolders { folders, .. } => {
                folders.iter().try_for_each(|folder| system.make_folder(folder))?;
            }
            Self::Write { path, content, .. } => system.write(path, content)?,
            Self::Remove { path, .. } => system.delete(path)?,
            Self::MakeCertificate { request, followed_by, key, certificate, .. } => {
                let pair = system.make_pair(request)?;
                let chain = [pair.certificate.bytes(), followed_by.bytes()].concat();
                system.write(key, &pair.key)?;
                system.write(certificate, &chain.into())?;
            }
            Self::CopyDaemon { from, to, replaces } => {
                if *replaces {
                    system.rename(to, &previous(to))?;
                }
                system.copy_executable(from, to)?;
            }
            Self::Stop { paths, .. } => system.stop(paths)?,
            Self::Start { paths, .. } => system.start(paths)?,
            Self::StopRole { paths, role } => system.stop_role(paths, *role)?,
            Self::StartRole { paths, role } => system.start_role(paths, *role)?,
            Self::AwaitLive { paths, roles, .. } => live::wait(paths, roles, system)?,
            Self::Delete(paths) => paths.iter().try_for_each(|path| system.delete(path))?,
            Self::RemoveEmptyFolders(folders) => {
                folders.iter().try_for_each(|folder| system.remove_empty_folder(folder))?;
            }
        }
        Ok(())
    }

    /// Takes it back.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    pub(crate) fn undo(&self, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::MakeFolders { paths, folders } => unmake(folders, paths, system),
            Self::Write { path, old, .. } => put_back(path, old.as_ref(), system),
            Self::Remove { path, old } => system.write(path, old),
            Self::MakeCertificate { key, certificate, old_key, old_certificate, .. } => {
                put_back(certificate, old_certificate.as_ref(), system)?;
                put_back(key, old_key.as_ref(), system)
            }
            Self::CopyDaemon { to, replaces: true, .. } => system.rename(&previous(to), to),
            Self::CopyDaemon { to, replaces: false, .. } => system.delete(to),
            Self::Stop { paths, roles } => {
                system.start(paths)?;
                Ok(live::wait_again(paths, roles, system)?)
            }
            Self::Start { paths, has_log } => {
                system.stop(paths)?;
                let log = layout::supervise_log(paths);
                if *has_log { Ok(()) } else { system.delete(&log) }
            }
            Self::StopRole { paths, role } => {
                system.start_role(paths, *role)?;
                Ok(live::wait_again(paths, &[*role], system)?)
            }
            Self::StartRole { paths, role } => system.stop_role(paths, *role),
            Self::AwaitLive { .. } | Self::Delete(_) | Self::RemoveEmptyFolders(_) => Ok(()),
        }
    }

    /// Throws away what was kept for undoing.
    ///
    /// # Errors
    ///
    /// Where the host refuses.
    pub(crate) fn settle(&self, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::CopyDaemon { to, replaces: true, .. } => system.delete(&previous(to)),
            _ => Ok(()),
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
            Self::Remove { path, .. } => format!("remove {}", file(path)),
            Self::MakeCertificate { certificate, .. } => format!("make {}", file(certificate)),
            Self::CopyDaemon { .. } => "copy the daemon".to_owned(),
            Self::Stop { .. } => "stop the roles".to_owned(),
            Self::Start { .. } => "start the roles".to_owned(),
            Self::StopRole { role, .. } => format!("stop the {}", named(*role)),
            Self::StartRole { role, .. } => format!("start the {}", named(*role)),
            Self::AwaitLive { .. } => "wait until live".to_owned(),
            Self::Delete(_) => "delete files".to_owned(),
            Self::RemoveEmptyFolders(_) => "remove empty folders".to_owned(),
        }
    }

    /// What is different afterwards.
    pub(crate) fn changes(&self) -> String {
        match self {
            Self::MakeFolders { folders, .. } => format!("new: {}", List(folders)),
            Self::Write { path, old, .. } => written(path, old.is_some()),
            Self::Remove { path, .. } => format!("removed: `{}`", path.display()),
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
            Self::StartRole { .. } => "it reads its files again".to_owned(),
            Self::AwaitLive { listens, .. } => {
                format!("nothing; the roles listen on {}", listens.join(", "))
            }
            Self::Delete(paths) => format!("gone: {}", List(paths)),
            Self::RemoveEmptyFolders(folders) => format!("gone, if empty: {}", List(folders)),
        }
    }

    /// What undoing does.
    pub(crate) fn undoing(&self) -> &'static str {
        match self {
            Self::MakeFolders { .. } => "the folders are removed",
            Self::Write { old: Some(_), .. } => "the old content is written back",
            Self::Write { old: None, .. } => "the file is removed",
            Self::Remove { .. } => "the file is written again",
            Self::MakeCertificate { old_certificate: Some(_), .. } => "the old files are put back",
            Self::MakeCertificate { old_certificate: None, .. } => "both files are removed",
            Self::CopyDaemon { replaces: true, .. } => "the old daemon is put back",
            Self::CopyDaemon { replaces: false, .. } => "the daemon is removed",
            Self::Stop { .. } => "the roles are started again",
            Self::Start { .. } => "the roles are stopped",
            Self::StopRole { .. } => "it is started again",
            Self::StartRole { .. } => "it is stopped",
            Self::AwaitLive { .. } => "nothing to undo",
            Self::Delete(_) | Self::RemoveEmptyFolders(_) => "cannot be undone",
        }
    }
}

fn named(role: Role) -> String {
    role.command().replace('-', " ")
}

/// Where the daemon that is replaced waits for the outcome.
fn previous(daemon: &Path) -> PathBuf {
    daemon.with_extension("previous")
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

fn put_back(path: &Path, old: Option<&Content>, system: &mut dyn System) -> anyhow::Result<()> {
    match old {
        Some(old) => system.write(path, old),
        None => system.delete(path),
    }
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
