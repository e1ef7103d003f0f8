//! Brings the services to what the stack files say.

use std::path::PathBuf;

use cmsg_config::Paths;
use cmsg_engine::STACK;

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    installation::layout,
    progress::stage::{Group, Stage},
    system::System,
};

/// Brings the services to what the files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deploy {
    pub(crate) files: Vec<PathBuf>,
    /// Whether there are no services of ours yet.
    pub(crate) is_first: bool,
}

/// There were no services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewServices;

impl<T: From<NewServices>> Kind<T> for Deploy {
    fn name(&self) -> String {
        "deploy the stack".to_owned()
    }

    fn changes(&self) -> String {
        if self.is_first {
            "the services start".to_owned()
        } else {
            "changed services restart".to_owned()
        }
    }

    fn undoing(&self) -> &'static str {
        if self.is_first {
            "the services are removed"
        } else {
            "the previous services are deployed again"
        }
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Deploying the services", "Services deployed")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.deploy(&self.files)?)
    }

    /// What was there before comes back when its files are back.
    fn traces(&self) -> Vec<T> {
        self.is_first.then(|| NewServices.into()).into_iter().collect()
    }
}

impl Undo for NewServices {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_services()?;
        let left = layout::run_files(paths);
        left.iter().try_for_each(|file| system.delete(file))
    }

    fn undoing_by_hand(&self) -> String {
        format!("run `docker stack rm {STACK}`")
    }
}
