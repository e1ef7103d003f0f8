//! Starts one role.

use cmsg_config::{Paths, socket::Role};
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    words::{named, role_stage},
};
use crate::{progress::stage::Stage, system::System};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartRole {
    pub(crate) paths: Paths,
    pub(crate) role: Role,
}

/// This role did not run beside the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartedRole(pub(crate) Role);

impl<T: From<StartedRole>> Kind<T> for StartRole {
    fn name(&self) -> String {
        format!("start the {}", named(self.role))
    }

    fn changes(&self) -> String {
        "it starts with the planned configuration".to_owned()
    }

    fn undoing(&self) -> &'static str {
        "it is stopped"
    }

    fn stage(&self) -> Stage {
        role_stage(self.role, "Starting", "started")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.start_role(&self.paths, self.role)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![StartedRole(self.role).into()]
    }
}

impl Undo for StartedRole {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.stop_role(paths, self.0)
    }

    fn undoing_by_hand(&self) -> String {
        format!("stop the {}", named(self.0))
    }
}
