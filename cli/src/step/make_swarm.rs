//! Makes a swarm of this host alone.

use cmsg_config::Paths;
use ipnet::Ipv4Net;

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Makes a swarm of this host alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MakeSwarm {
    /// The range that it takes addresses from.
    pub(crate) pool: Ipv4Net,
}

/// The swarm is there that was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewSwarm;

impl<T: From<NewSwarm>> Kind<T> for MakeSwarm {
    fn name(&self) -> String {
        "create a swarm".to_owned()
    }

    fn changes(&self) -> String {
        format!(
            "Docker runs a single-node swarm on the loopback interface, with the address pool {}",
            self.pool
        )
    }

    fn undoing(&self) -> &'static str {
        "Docker leaves the swarm"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Creating a swarm", "Swarm created")
    }

    fn on_host(&self) -> Option<String> {
        Some("single-node swarm".to_owned())
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.make_swarm(self.pool)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![NewSwarm.into()]
    }
}

impl Undo for NewSwarm {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.leave_swarm()
    }

    fn undoing_by_hand(&self) -> String {
        "run `docker swarm leave --force`".to_owned()
    }
}
