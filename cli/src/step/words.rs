//! Words for people that several kinds of steps use.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use cmsg_config::socket::Role;

pub(super) fn named(role: Role) -> String {
    role.command().replace('-', " ")
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn written(path: &Path, is_there: bool) -> String {
    let how = if is_there { "changed" } else { "new" };
    format!("{how}: `{}`", path.display())
}

/// What undoing does to a file.
pub(super) fn unwritten(is_there: bool) -> &'static str {
    if is_there { "the old file is put back" } else { "the file is removed" }
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
