//! Removes from the Docker engine, when all else is done, what nothing of ours needs any more.

use cmsg_config::Paths;
use cmsg_engine::stack::NETWORK;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, NOTHING, Undo},
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Removes, when all else is done, what nothing of ours needs any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeaveEngine {
    /// Whether the network of the stack goes.
    pub(crate) network: bool,
    /// The names of images that go.
    pub(crate) images: Vec<String>,
    /// Whether the swarm goes.
    pub(crate) swarm: bool,
}

/// Images of these names go when all else is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImagesGo(pub(crate) Vec<String>);

/// The network goes when all else is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkGoes;

/// The swarm goes when all else is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SwarmGoes;

impl LeaveEngine {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<T: From<ImagesGo> + From<NetworkGoes> + From<SwarmGoes>> Kind<T> for LeaveEngine {
    fn name(&self) -> String {
        "clean up Docker".to_owned()
    }

    fn changes(&self) -> String {
        let network = self.network.then(|| format!("the network {NETWORK}"));
        let swarm = self.swarm.then(|| "the swarm of this host".to_owned());
        let images = self.images.iter().cloned();
        let gone: Vec<_> = network.into_iter().chain(images).chain(swarm).collect();
        format!("removed: {}", gone.join(", "))
    }

    fn undoing(&self) -> &'static str {
        "nothing is removed before all other steps are done"
    }

    fn stage(&self) -> Stage {
        Stage::hidden(Group::Deployment)
    }

    fn perform(&self, _system: &mut dyn System) -> Result<(), StepError> {
        Ok(())
    }

    fn traces(&self) -> Vec<T> {
        let network = self.network.then(|| NetworkGoes.into());
        let images = (!self.images.is_empty()).then(|| ImagesGo(self.images.clone()).into());
        let swarm = self.swarm.then(|| SwarmGoes.into());
        network.into_iter().chain(images).chain(swarm).collect()
    }
}

impl Undo for ImagesGo {
    fn undo(&self, _paths: &Paths, _system: &mut dyn System) -> anyhow::Result<()> {
        Ok(())
    }

    fn undoing_by_hand(&self) -> String {
        NOTHING.to_owned()
    }

    fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_images(&self.0)
    }

    fn finishing_by_hand(&self) -> String {
        format!("run `docker rmi {}`", self.0.join(" "))
    }
}

impl Undo for NetworkGoes {
    fn undo(&self, _paths: &Paths, _system: &mut dyn System) -> anyhow::Result<()> {
        Ok(())
    }

    fn undoing_by_hand(&self) -> String {
        NOTHING.to_owned()
    }

    fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_network()
    }

    fn finishing_by_hand(&self) -> String {
        format!("run `docker network rm {NETWORK}`")
    }
}

impl Undo for SwarmGoes {
    fn undo(&self, _paths: &Paths, _system: &mut dyn System) -> anyhow::Result<()> {
        Ok(())
    }

    fn undoing_by_hand(&self) -> String {
        NOTHING.to_owned()
    }

    fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        system.leave_swarm()
    }

    fn finishing_by_hand(&self) -> String {
        "run `docker swarm leave --force`".to_owned()
    }
}
