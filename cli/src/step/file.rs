//! The traces of files, which steps of several kinds write or remove. A replaced file waits aside.

use std::path::{Path, PathBuf};

use anyhow::bail;
use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::kind::Undo;
use crate::{
    installation::layout::{aside, unfinished},
    system::System,
};

/// What was at this path waits aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replaced(pub(crate) PathBuf);

/// A file is at this path that was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct New(pub(crate) PathBuf);

/// A list of traces that has both.
pub(super) trait FileTrace: From<Replaced> + From<New> {}

impl<T: From<Replaced> + From<New>> FileTrace for T {}

/// The trace of a file that a step writes or removes.
pub(super) fn trace<T: FileTrace>(path: &Path, is_there: bool) -> T {
    let path = path.to_owned();
    if is_there { Replaced(path).into() } else { New(path).into() }
}

/// Keeps what will be replaced.
pub(super) fn put_aside(
    path: &Path,
    is_there: bool,
    system: &mut dyn System,
) -> anyhow::Result<()> {
    if is_there && !system.rename(path, &aside(path))? {
        bail!("`{}` was removed after it was read", path.display());
    }
    Ok(())
}

impl Undo for Replaced {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        let Self(path) = self;
        system.delete(&unfinished(path))?;
        system.rename(&aside(path), path).map(drop)
    }

    fn undoing_by_hand(&self) -> String {
        let (from, to) = (aside(&self.0), self.0.display());
        format!("move `{}`, if it exists, to `{to}`", from.display())
    }

    fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        system.delete(&aside(&self.0))
    }

    fn finishing_by_hand(&self) -> String {
        format!("remove `{}`", aside(&self.0).display())
    }
}

impl Undo for New {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.delete(&unfinished(&self.0))?;
        system.delete(&self.0)
    }

    fn undoing_by_hand(&self) -> String {
        format!("remove `{}`", self.0.display())
    }
}
