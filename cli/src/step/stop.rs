//! Stops the supervisor and with it the roles.

use cmsg_config::{Paths, socket::Role};
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    live,
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Stops the supervisor and with it the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) paths: Paths,
    /// The roles that it runs.
    pub(crate) roles: Vec<Role>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RolesRan(pub(crate) Vec<Role>);

impl<T: From<RolesRan>> Kind<T> for Stop {
    fn name(&self) -> String {
        "stop the services".to_owned()
    }

    fn changes(&self) -> String {
        "sessions end; clients can connect when the services run again".to_owned()
    }

    fn undoing(&self) -> &'static str {
        "the services are started again"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Stopping the services", "Services stopped")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.stop(&self.paths)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![RolesRan(self.roles.clone()).into()]
    }
}

impl Undo for RolesRan {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.start(paths)?;
        live::wait_again(paths, &self.0, system)
    }

    fn undoing_by_hand(&self) -> String {
        "start the services".to_owned()
    }
}
