//! Stops one role; the other runs on.

use cmsg_config::{Paths, socket::Role};
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    live,
    words::{named, role_stage},
};
use crate::{progress::stage::Stage, system::System};

/// Stops one role; the other runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StopRole {
    pub(crate) paths: Paths,
    pub(crate) role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoppedRole(pub(crate) Role);

impl<T: From<StoppedRole>> Kind<T> for StopRole {
    fn name(&self) -> String {
        format!("stop the {}", named(self.role))
    }

    fn changes(&self) -> String {
        match self.role {
            Role::Cm => "users cannot log on for a few seconds; sessions continue".to_owned(),
            Role::Sg => "sessions through the gateway pause for a few seconds".to_owned(),
        }
    }

    fn undoing(&self) -> &'static str {
        "it is started again"
    }

    fn stage(&self) -> Stage {
        role_stage(self.role, "Stopping", "stopped")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.stop_role(&self.paths, self.role)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![StoppedRole(self.role).into()]
    }
}

impl Undo for StoppedRole {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.start_role(paths, self.0)?;
        live::wait_again(paths, &[self.0], system)
    }

    fn undoing_by_hand(&self) -> String {
        format!("start the {}", named(self.0))
    }
}
