//! Removes folders that are empty when all else is done.

use std::path::PathBuf;

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, NOTHING, Undo},
    words::List,
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Removes folders that are empty when all else is done, inner ones first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoveEmptyFolders(pub(crate) Vec<PathBuf>);

/// Folders go when everything else is done, inner ones first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Emptied(pub(crate) Vec<PathBuf>);

impl<T: From<Emptied>> Kind<T> for RemoveEmptyFolders {
    fn name(&self) -> String {
        "remove empty directories".to_owned()
    }

    fn changes(&self) -> String {
        format!("removed, if empty: {}", List(&self.0))
    }

    fn undoing(&self) -> &'static str {
        "nothing is removed before all other steps are done"
    }

    fn stage(&self) -> Stage {
        Stage::hidden(Group::Host)
    }

    /// They go when what is aside is gone.
    fn perform(&self, _system: &mut dyn System) -> Result<(), StepError> {
        Ok(())
    }

    fn traces(&self) -> Vec<T> {
        vec![Emptied(self.0.clone()).into()]
    }
}

impl Undo for Emptied {
    fn undo(&self, _paths: &Paths, _system: &mut dyn System) -> anyhow::Result<()> {
        Ok(())
    }

    fn undoing_by_hand(&self) -> String {
        NOTHING.to_owned()
    }

    fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        self.0.iter().try_for_each(|folder| system.remove_empty_folder(folder))
    }

    fn finishing_by_hand(&self) -> String {
        format!("remove {}, if empty", List(&self.0))
    }
}
