//! Has the Docker engine start at boot.

use cmsg_config::Paths;

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Has the Docker engine start at boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnableEngine;

/// The engine starts at boot and did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Enabled;

impl<T: From<Enabled>> Kind<T> for EnableEngine {
    fn name(&self) -> String {
        "enable Docker".to_owned()
    }

    fn changes(&self) -> String {
        "Docker and the services start at boot".to_owned()
    }

    fn undoing(&self) -> &'static str {
        "Docker no longer starts at boot"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Host, "Enabling Docker", "Docker enabled at boot")
    }

    fn on_host(&self) -> Option<String> {
        Some("Docker starts at boot".to_owned())
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.set_engine_at_boot(true)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![Enabled.into()]
    }
}

impl Undo for Enabled {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.set_engine_at_boot(false)
    }

    fn undoing_by_hand(&self) -> String {
        "run `systemctl disable docker`".to_owned()
    }
}
