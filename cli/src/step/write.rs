//! Writes a file.

use std::path::PathBuf;

use super::{
    error::StepError,
    file::{self, FileTrace, put_aside},
    kind::Kind,
    words::{file_name, file_stage, unwritten, written},
};
use crate::{content::Content, progress::stage::Stage, system::System};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
    /// Whether one is there.
    pub(crate) replaces: bool,
}

impl<T: FileTrace> Kind<T> for Write {
    fn name(&self) -> String {
        format!("write {}", file_name(&self.path))
    }

    fn changes(&self) -> String {
        written(&self.path, self.replaces)
    }

    fn undoing(&self) -> &'static str {
        unwritten(self.replaces)
    }

    fn stage(&self) -> Stage {
        file_stage(&self.path)
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        put_aside(&self.path, self.replaces, system)?;
        Ok(system.write(&self.path, &self.content)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![file::trace(&self.path, self.replaces)]
    }
}
