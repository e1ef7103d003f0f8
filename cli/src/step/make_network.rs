//! Makes the network of the stack.

use cmsg_config::Paths;
use cmsg_engine::stack::NETWORK;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Makes the network of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MakeNetwork {
    pub(crate) network: Ipv4Net,
    /// The range of one that is there.
    pub(crate) replaces: Option<Ipv4Net>,
}

/// The network is there that was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewNetwork;

/// The network had this range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WasNetwork(pub(crate) Ipv4Net);

impl<T: From<NewNetwork> + From<WasNetwork>> Kind<T> for MakeNetwork {
    fn name(&self) -> String {
        format!("create the network {NETWORK}")
    }

    fn changes(&self) -> String {
        let network = self.network;
        match self.replaces {
            None => format!("new: {network}"),
            Some(old) => format!("its range changes from {old} to {network}"),
        }
    }

    fn undoing(&self) -> &'static str {
        match self.replaces {
            None => "the network is removed",
            Some(_) => "the previous range of the network is restored",
        }
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Creating the Docker network", "Docker network created")
    }

    fn on_host(&self) -> Option<String> {
        Some(format!("network `{NETWORK}` ({})", self.network))
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        if self.replaces.is_some() {
            system.remove_network()?;
        }
        Ok(system.make_network(self.network)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![self.replaces.map_or(NewNetwork.into(), |old| WasNetwork(old).into())]
    }
}

impl Undo for NewNetwork {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_network()
    }

    fn undoing_by_hand(&self) -> String {
        format!("run `docker network rm {NETWORK}`")
    }
}

impl Undo for WasNetwork {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_network()?;
        system.make_network(self.0)
    }

    fn undoing_by_hand(&self) -> String {
        format!(
            "run `docker network rm {NETWORK}` and `docker network create --driver overlay \
             --attachable --subnet {} {NETWORK}`",
            self.0
        )
    }
}
