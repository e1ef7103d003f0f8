//! Gives up the rights of root between fork and exec: what faces the network runs as the account,
//! and all that it keeps is the right to bind ports below 1024.

use std::collections::HashSet;

use anyhow::Context as _;
use caps::{CapSet, Capability};
use nix::{
    sys::prctl,
    unistd::{Gid, Uid, setgroups, setresgid, setresuid},
};

use crate::installation::account::Ids;

/// Becomes the account, for good.
///
/// # Errors
///
/// Where the kernel refuses a part of it; the process is not to go on then.
pub(crate) fn give_up(ids: Ids) -> anyhow::Result<()> {
    let kept = HashSet::from([Capability::CAP_NET_BIND_SERVICE]);
    let (user, group) = (Uid::from_raw(ids.user), Gid::from_raw(ids.group));
    // To leave the bounding set takes a right that is gone afterwards.
    for right in caps::runtime::thread_all_supported().difference(&kept) {
        caps::drop(None, CapSet::Bounding, *right).context("failed to limit the capabilities")?;
    }
    prctl::set_keepcaps(true).context("failed to keep a capability")?;
    setgroups(&[]).context("failed to drop root's supplementary groups")?;
    setresgid(group, group, group).context("failed to change the group")?;
    setresuid(user, user, user).context("failed to change the user")?;
    // Ambient rights are those that a program keeps when it becomes another.
    for set in [CapSet::Effective, CapSet::Inheritable, CapSet::Permitted, CapSet::Ambient] {
        caps::set(None, set, &kept).context("failed to drop root's capabilities")?;
    }
    prctl::set_no_new_privs().context("failed to forbid new privileges")
}
