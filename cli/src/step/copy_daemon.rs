//! Copies the daemon.

use std::path::PathBuf;

use super::{
    error::StepError,
    file::{self, FileTrace, put_aside},
    kind::Kind,
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyDaemon {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    /// Whether one is there.
    pub(crate) replaces: bool,
}

impl<T: FileTrace> Kind<T> for CopyDaemon {
    fn name(&self) -> String {
        "copy the daemon".to_owned()
    }

    fn changes(&self) -> String {
        format!("`{}`, copied from `{}`", self.to.display(), self.from.display())
    }

    fn undoing(&self) -> &'static str {
        if self.replaces { "the previous daemon is restored" } else { "the daemon is removed" }
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Copying the daemon", "Daemon copied")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        put_aside(&self.to, self.replaces, system)?;
        Ok(system.copy_executable(&self.from, &self.to)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![file::trace(&self.to, self.replaces)]
    }
}
