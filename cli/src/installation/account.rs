//! The account that runs the services of the machine's own installation: its name and numbers, and what
//! it may do with each file. No folder has files of both: what root reads again and acts on lies where
//! the account makes nothing, and the account's files where root reads nothing.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use cmsg_config::{Paths, socket::Role};
use serde::{Deserialize, Serialize};

use crate::installation::layout;

/// Its name, and its group's.
pub(crate) const NAME: &str = "pcoip-cmsg";

/// Who may do what with a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
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
    Account,
}

/// What everything of the machine's installation is to be like, outer folders first.
pub(crate) fn accesses(paths: &Paths) -> Vec<(PathBuf, Access)> {
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
        .chain([Role::Cm, Role::Sg].map(|role| (layout::unit(paths, role), UNIT)))
        .collect()
}

/// Every path whose access matters.
pub(crate) fn paths(paths: &Paths) -> Vec<PathBuf> {
    accesses(paths).into_iter().map(|(path, _)| path).collect()
}

/// A path and its access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessChange {
    pub(crate) path: PathBuf,
    /// What is to be.
    pub(crate) access: Access,
    /// What was, where the path was there and is not replaced.
    pub(crate) before: Option<Ownership>,
}

/// systemd warns of a unit that not everybody may read; there is no secret in it.
pub(crate) const UNIT: Access = Access { owner: Owner::Root, mode: 0o644 };

/// The numbers of a user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// What is known of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AccountFact {
    /// Under another root everything is the installing user's.
    #[default]
    NotUsed,
    Missing,
    There(Ids),
    /// What is there cannot be used.
    Odd(&'static str),
}

impl AccountFact {
    pub(crate) fn look(is_machine: bool) -> Self {
        if !is_machine {
            return Self::NotUsed;
        }
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::find(&read("/etc/passwd"), &read("/etc/group"))
    }

    /// Finds it among the users and groups.
    fn find(users: &str, groups: &str) -> Self {
        match (ids(users), group(groups)) {
            (None, None) => Self::Missing,
            (None, Some(_)) => Self::Odd("is a group without a user"),
            (Some(Ids { user: 0, .. }), _) => Self::Odd("has the rights of root"),
            (Some(Ids { group: 0, .. }), _) => Self::Odd("is in the group of root"),
            (Some(ids), Some(group)) if ids.group == group => Self::There(ids),
            (Some(_), _) => Self::Odd("is a user without a group of the same name"),
        }
    }
}

/// The account's numbers.
///
/// # Errors
///
/// Where there is none.
pub(crate) fn numbers() -> anyhow::Result<Ids> {
    let users = fs::read_to_string("/etc/passwd").context("failed to read `/etc/passwd`")?;
    ids(&users).with_context(|| format!("there is no user `{NAME}`"))
}

/// Whether there are a user and a group of that name.
///
/// # Errors
///
/// Where the files cannot be read.
pub(crate) fn is_there() -> anyhow::Result<(bool, bool)> {
    let users = fs::read_to_string("/etc/passwd").context("failed to read `/etc/passwd`")?;
    let groups = fs::read_to_string("/etc/group").context("failed to read `/etc/group`")?;
    Ok((fields(&users).is_some(), fields(&groups).is_some()))
}

/// The line of the account, split: `pcoip-cmsg:x:998:998::/nonexistent:/usr/sbin/nologin`.
fn fields(text: &str) -> Option<Vec<&str>> {
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&NAME))
}

fn ids(users: &str) -> Option<Ids> {
    let fields = fields(users)?;
    Some(Ids { user: fields.get(2)?.parse().ok()?, group: fields.get(3)?.parse().ok()? })
}

fn group(groups: &str) -> Option<u32> {
    fields(groups)?.get(2)?.parse().ok()
}

/// Whose a file or folder is, and what others may do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ownership {
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// The bits of its mode.
    pub(crate) mode: u32,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
}

impl Ownership {
    /// Looks at a path, if something is there.
    pub(crate) fn look(path: &Path) -> Option<Self> {
        let there = path.symlink_metadata().ok()?;
        let (user, group, mode) = (there.uid(), there.gid(), there.mode() & 0o7777);
        Some(Self { user, group, mode, is_folder: there.is_dir() })
    }

    /// Whether that is the access.
    pub(crate) fn is(self, access: Access, account: Ids) -> bool {
        (self.user, self.group) == access.owner.numbers(account) && self.mode == access.mode
    }
}

impl Owner {
    /// The user's and the group's number.
    pub(crate) fn numbers(self, account: Ids) -> (u32, u32) {
        match self {
            Self::Root => (0, 0),
            Self::RootForGroup => (0, account.group),
            Self::Account => (account.user, account.group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_found_by_its_whole_name_and_never_is_root() {
        const ROOT: &str = "root:x:0:0:root:/root:/bin/bash\npcoip-cmsg2:x:5:5::/:/bin/sh\n";
        let table = [
            ("", "", AccountFact::Missing),
            ("pcoip-cmsg:x:998:997::/:/x", "pcoip-cmsg:x:997:", {
                AccountFact::There(Ids { user: 998, group: 997 })
            }),
            ("", "pcoip-cmsg:x:997:", AccountFact::Odd("is a group without a user")),
            ("pcoip-cmsg:x:0:9::", "pcoip-cmsg:x:9:", AccountFact::Odd("has the rights of root")),
            ("pcoip-cmsg:x:9:0::", "pcoip-cmsg:x:0:", AccountFact::Odd("is in the group of root")),
            ("pcoip-cmsg:x:9:100::", "", {
                AccountFact::Odd("is a user without a group of the same name")
            }),
        ];
        for (user, group, expected) in table {
            assert_eq!(AccountFact::find(&format!("{ROOT}{user}\n"), group), expected, "{user}");
        }
    }
}
