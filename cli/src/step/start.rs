//! Starts the supervisor, which starts the roles.

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    installation::layout,
    progress::stage::{Group, Stage},
    system::System,
};

/// Starts the supervisor, which starts the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) paths: Paths,
    /// Whether its log is there.
    pub(crate) has_log: bool,
}

/// No role ran; whether the supervisor's log was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Started {
    pub(crate) has_log: bool,
}

impl<T: From<Started>> Kind<T> for Start {
    fn name(&self) -> String {
        "start the services".to_owned()
    }

    fn changes(&self) -> String {
        let log = layout::supervise_log(&self.paths);
        format!("a supervisor runs the services and logs to `{}`", log.display())
    }

    fn undoing(&self) -> &'static str {
        "the services are stopped"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Starting the services", "Services started")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.start(&self.paths)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![Started { has_log: self.has_log }.into()]
    }
}

impl Undo for Started {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.stop(paths)?;
        if self.has_log {
            return Ok(());
        }
        let log = layout::supervise_log(paths);
        let mut left = layout::run_files(paths).into_iter().chain([log]);
        left.try_for_each(|file| system.delete(&file))
    }

    fn undoing_by_hand(&self) -> String {
        "stop the services".to_owned()
    }
}
