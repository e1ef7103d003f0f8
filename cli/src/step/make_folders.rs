//! Makes folders.

use std::path::PathBuf;

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    words::List,
};
use crate::{
    installation::layout,
    progress::stage::{Group, Stage},
    system::System,
};

/// Makes folders, outer ones first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MakeFolders {
    pub(crate) paths: Paths,
    pub(crate) folders: Vec<PathBuf>,
}

/// Folders are there that were not, outer ones first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Folders(pub(crate) Vec<PathBuf>);

impl<T: From<Folders>> Kind<T> for MakeFolders {
    fn name(&self) -> String {
        "create directories".to_owned()
    }

    fn changes(&self) -> String {
        format!("new: {}", List(&self.folders))
    }

    fn undoing(&self) -> &'static str {
        "the directories are removed"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Host, "Creating directories", "Directories created")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(self.folders.iter().try_for_each(|folder| system.make_folder(folder))?)
    }

    fn traces(&self) -> Vec<T> {
        vec![Folders(self.folders.clone()).into()]
    }
}

impl Undo for Folders {
    /// Folders of ours go with what the roles have put there, others only when empty.
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        let own = layout::own_folders(paths);
        self.0.iter().rev().try_for_each(|folder| {
            if own.contains(folder) {
                system.delete(folder)
            } else {
                system.remove_empty_folder(folder)
            }
        })
    }

    fn undoing_by_hand(&self) -> String {
        format!("remove {}", List(&self.0))
    }
}
