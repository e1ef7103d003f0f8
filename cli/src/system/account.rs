//! Makes and removes the account, and gives files to it.

use std::{
    fs::{File, OpenOptions, Permissions},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use nix::fcntl::OFlag;

use crate::installation::account::{Access, NAME, Owner, Ownership, is_there, numbers};

pub(super) fn make() -> anyhow::Result<()> {
    const WORDS: [&str; 6] =
        ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME];
    run("useradd", &WORDS)
}

/// Removes the account, as far as it is there.
pub(super) fn remove() -> anyhow::Result<()> {
    if is_there()?.0 {
        run("userdel", &[NAME])?;
    }
    // Some systems let the group of a user stay.
    if is_there()?.1 {
        run("groupdel", &[NAME])?;
    }
    Ok(())
}

/// Gives a file or folder to whom it belongs.
pub(super) fn hand_over(path: &Path, access: Access) -> anyhow::Result<()> {
    let (user, group) = match access.owner {
        Owner::Root => (0, 0),
        owner => owner.numbers(numbers()?),
    };
    set(path, user, group, access.mode)
}

pub(super) fn hand_back(path: &Path, before: Ownership) -> anyhow::Result<()> {
    set(path, before.user, before.group, before.mode)
}

fn set(path: &Path, user: u32, group: u32, mode: u32) -> anyhow::Result<()> {
    // A link is not followed and a pipe not waited for.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let open = || OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let set = |file: File| {
        fchown(&file, Some(user), Some(group))?;
        // After the owner, whose change takes bits away.
        file.set_permissions(Permissions::from_mode(mode))
    };
    open().and_then(set).with_context(|| format!("failed to set the owner of `{}`", path.display()))
}

/// Runs a program of the machine.
pub(super) fn run(program: &str, words: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    let output = command.args(words).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("failed to run `{program}`"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace(char::is_control, " ");
    bail!("`{program} {}` ended with {}: {said}", words.join(" "), output.status)
}
