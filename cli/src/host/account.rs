//! The account of the roles, as the machine's own files of users and groups tell of it.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{
    plan::account::{Access, NAME, Owner},
    wanted::Place,
};

/// The numbers of a user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The user's.
    pub(crate) user: u32,
    /// The group's.
    pub(crate) group: u32,
}

/// What is known of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum AccountFact {
    /// Under another root everything is the installing user's.
    #[default]
    NotUsed,
    /// There is none.
    Missing,
    /// There is one.
    There(Ids),
    /// What is there cannot be used.
    Odd(&'static str),
}

impl AccountFact {
    /// Looks for it.
    pub(crate) fn look(place: &Place) -> Self {
        if place.root.is_some() {
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
pub(crate) struct Found {
    /// Its user's number.
    pub(crate) user: u32,
    /// Its group's number.
    pub(crate) group: u32,
    /// The bits of its mode.
    pub(crate) mode: u32,
    /// Whether it is a folder.
    pub(crate) is_folder: bool,
}

impl Found {
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
