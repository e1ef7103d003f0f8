//! Keeps a copy of another installation before it is taken over.

use std::path::PathBuf;

use super::{error::StepError, kind::Kind};
use crate::{
    content::Content,
    progress::stage::{Group, Stage},
    shown::counted,
    system::System,
};

/// Copies the files of another installation. It leaves no trace: the copies stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeepAdopted {
    /// The folder of the copies.
    pub(crate) folder: PathBuf,
    /// The copies by path.
    pub(crate) files: Vec<(PathBuf, Content)>,
}

impl<T> Kind<T> for KeepAdopted {
    fn name(&self) -> String {
        "back up the existing installation".to_owned()
    }

    fn changes(&self) -> String {
        format!("new: {} under `{}`", counted(self.files.len(), "file"), self.folder.display())
    }

    fn undoing(&self) -> &'static str {
        "the backup is kept"
    }

    fn stage(&self) -> Stage {
        Stage::new(
            Group::Configuration,
            "Backing up the existing installation",
            "Existing installation backed up",
        )
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        for (path, content) in &self.files {
            let above: Vec<_> =
                path.ancestors().skip(1).take_while(|it| it.starts_with(&self.folder)).collect();
            above.into_iter().rev().try_for_each(|folder| system.make_folder(folder))?;
            system.write(path, content)?;
        }
        Ok(())
    }

    fn traces(&self) -> Vec<T> {
        Vec::new()
    }
}
