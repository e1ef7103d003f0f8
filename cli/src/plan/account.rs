//! The account that runs the roles of the machine's own installation, and what it may do with each
//! file. No folder has files of both: what root reads again and acts on lies where the account makes
//! nothing, and the account's files where root reads nothing.

use std::path::{Path, PathBuf};

use cmsg_config::{Paths, socket::Role};

use super::{Record, layout};
use crate::{
    host::{
        Facts,
        account::{AccountFact, Found},
    },
    step::{Step, trace::Trace, units},
};

/// Its name, and its group's.
pub(crate) const NAME: &str = "pcoip-cmsg";

/// Who may do what with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// Whose it is.
    pub(crate) owner: Owner,
    /// The bits of its mode.
    pub(crate) mode: u32,
}

/// Whose a file or folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Root's, and of its group.
    Root,
    /// Root's, and of the account's group.
    RootForGroup,
    /// The account's.
    Account,
}

/// What everything of the machine's installation is to be like, outer folders first.
fn accesses(paths: &Paths) -> Vec<(PathBuf, Access)> {
    let all = |owner, mode| move |path: PathBuf| (path, Access { owner, mode });
    let everybody = paths.base().parent().map(Path::to_owned);
    let folders = [paths.logs(), paths.base(), layout::bin(paths), paths.certs(), paths.data()];
    let logs = [paths.connection_manager_logs(), paths.security_gateway_logs()];
    let own = [paths.run(), paths.state()].into_iter().chain(logs);
    // The roles have no use for passwords yet.
    let is_roots = |file: &PathBuf| {
        let own = [
            layout::answers,
            layout::record,
            layout::previous,
            layout::stack,
            layout::compose_file,
        ];
        own.iter().any(|path| path(paths) == *file) || file.starts_with(layout::secrets(paths))
    };
    let (roots, read): (Vec<_>, Vec<_>) = layout::files(paths).into_iter().partition(is_roots);
    everybody
        .into_iter()
        .map(all(Owner::Root, 0o755))
        .chain(folders.map(all(Owner::RootForGroup, 0o750)))
        .chain(own.map(all(Owner::Account, 0o700)))
        .chain([all(Owner::Root, 0o700)(layout::secrets(paths))])
        .chain(read.into_iter().map(all(Owner::RootForGroup, 0o640)))
        .chain([all(Owner::RootForGroup, 0o750)(paths.daemon())])
        .chain([all(Owner::RootForGroup, 0o750)(layout::previous_daemon(paths))])
        .chain(roots.into_iter().map(all(Owner::Root, 0o600)))
        .chain([Role::Cm, Role::Sg].map(|role| (layout::unit(paths, role), units::ACCESS)))
        .collect()
}

/// Every path whose access matters.
pub(crate) fn paths(paths: &Paths) -> Vec<PathBuf> {
    accesses(paths).into_iter().map(|(path, _)| path).collect()
}

/// The step that makes the account, if it is needed and not there.
pub(super) fn make(facts: &Facts) -> Option<Step> {
    (facts.account == AccountFact::Missing).then_some(Step::MakeAccount)
}

/// The step that gives everything its access where it has another, after these have been performed.
pub(super) fn hand_over(steps: &[Step], paths: &Paths, facts: &Facts) -> Option<Step> {
    let account = match facts.account {
        AccountFact::NotUsed => return None,
        AccountFact::There(ids) => Some(ids),
        AccountFact::Missing | AccountFact::Odd(_) => None,
    };
    let mut made = Vec::new();
    for trace in steps.iter().flat_map(Step::traces) {
        match trace {
            Trace::New(path) | Trace::Replaced(path) => made.push(path),
            Trace::Folders(folders) => made.extend(folders),
            _ => {}
        }
    }
    let removed = |path: &PathBuf| steps.iter().any(|s| matches!(s, Step::Remove(p) if p == path));
    let recorded = Record::of(&facts.installed, paths).folders;
    let own = layout::own_folders(paths);
    let mut changes = Vec::new();
    for (path, access) in accesses(paths) {
        let before = facts.installed.access.get(&path).copied();
        let is_made = made.contains(&path);
        // Folders around ours may be others'.
        let is_others = before.is_some_and(|before| before.is_folder)
            && !own.contains(&path)
            && !recorded.contains(&path);
        let is_right = || match (before, account) {
            (Some(before), Some(account)) => before.is(access, account),
            _ => false,
        };
        let will_be = is_made || (before.is_some() && !is_others && !is_right());
        if will_be && !removed(&path) {
            changes.push(Change { path, access, before: before.filter(|_| !is_made) });
        }
    }
    (!changes.is_empty()).then_some(Step::HandOver(changes))
}

/// A path and its access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Which.
    pub(crate) path: PathBuf,
    /// What is to be.
    pub(crate) access: Access,
    /// What was, where the path was there and is not replaced.
    pub(crate) before: Option<Found>,
}

#[cfg(test)]
mod tests;
