//! Deletes files and whole folders.

use std::path::PathBuf;

use super::{
    error::StepError,
    file::{self, FileTrace},
    kind::Kind,
    words::List,
};
use crate::{
    installation::layout::aside,
    progress::stage::{Group, Stage},
    system::System,
};

/// Deletes the files and whole folders at these paths. What is not there need not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delete(pub(crate) Vec<PathBuf>);

impl<T: FileTrace> Kind<T> for Delete {
    fn name(&self) -> String {
        "delete files".to_owned()
    }

    fn changes(&self) -> String {
        format!("removed: {}", List(&self.0))
    }

    fn undoing(&self) -> &'static str {
        "they are restored"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Configuration, "Removing files", "Files removed")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(self.0.iter().try_for_each(|path| system.rename(path, &aside(path)).map(drop))?)
    }

    fn traces(&self) -> Vec<T> {
        self.0.iter().map(|path| file::trace(path, true)).collect()
    }
}
