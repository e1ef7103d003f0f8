//! Removes a file.

use std::path::PathBuf;

use super::{
    error::StepError,
    file::{self, FileTrace, put_aside},
    kind::Kind,
    words::{file_name, file_stage, unwritten},
};
use crate::{progress::stage::Stage, system::System};

/// Removes the file at this path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remove(pub(crate) PathBuf);

impl<T: FileTrace> Kind<T> for Remove {
    fn name(&self) -> String {
        format!("remove {}", file_name(&self.0))
    }

    fn changes(&self) -> String {
        format!("removed: `{}`", self.0.display())
    }

    fn undoing(&self) -> &'static str {
        unwritten(true)
    }

    fn stage(&self) -> Stage {
        file_stage(&self.0)
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(put_aside(&self.0, true, system)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![file::trace(&self.0, true)]
    }
}
