//! What a step is called, what it changes and what undoing it does, for people.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use cmsg_config::socket::Role;

use super::Step;
use crate::{
    installation::{account::NAME, layout},
    pki::generate::{Key, Request, SIGNING_DAYS, TLS_DAYS},
};

impl Step {
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
            Self::Reload { role, .. } => format!("tell the {} of new certificates", named(*role)),
            Self::Hold(_) => "note what runs".to_owned(),
            Self::Adopt(step) => step.name().to_owned(),
            Self::Engine(step) => step.name(),
            Self::Delete(_) => "delete files".to_owned(),
            Self::Firewall(_) => "set the firewall".to_owned(),
            Self::Kernel(_) => "set the kernel".to_owned(),
            Self::MakeAccount => format!("make the account {NAME}"),
            Self::HandOver(_) => "give files to the account".to_owned(),
            Self::Units(_) => "change the units of systemd".to_owned(),
            Self::RemoveAccount => format!("remove the account {NAME}"),
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
            Self::Reload { .. } => "it shows them from then on; sessions go on".to_owned(),
            Self::Hold(_) => "nothing".to_owned(),
            Self::Adopt(step) => step.changes(),
            Self::Engine(step) => step.changes(),
            Self::Delete(paths) => format!("gone: {}", List(paths)),
            Self::Firewall(step) => step.changes(),
            Self::Kernel(step) => step.changes(),
            Self::MakeAccount => {
                format!("new: the system user and group `{NAME}`, which run the roles")
            }
            Self::HandOver(changes) => {
                let paths: Vec<_> = changes.iter().map(|change| change.path.clone()).collect();
                format!("owner, group and mode of {}", List(&paths))
            }
            Self::Units(units) => units.changes(),
            Self::RemoveAccount => format!("gone: the user and group `{NAME}`"),
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
            Self::Reload { .. } => "it reads the old ones again",
            Self::Hold(_) => "it runs as before",
            Self::Adopt(step) => step.undoing(),
            Self::Engine(step) => step.undoing(),
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

pub(super) fn named(role: Role) -> String {
    role.command().replace('-', " ")
}

pub(super) fn written(path: &Path, is_there: bool) -> String {
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
pub(super) struct List<'a>(pub(super) &'a [PathBuf]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, path) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}`{}`", path.display())?;
        }
        Ok(())
    }
}
