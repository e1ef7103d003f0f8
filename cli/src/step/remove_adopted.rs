//! Removes the services of another installation that is taken over, and their networks.

use super::{error::StepError, kind::Kind};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Removes the services of another installation, and their networks. It leaves no trace: the plan
/// holds that of the services before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoveAdopted {
    pub(crate) networks: Vec<String>,
}

impl<T> Kind<T> for RemoveAdopted {
    fn name(&self) -> String {
        "remove the existing services".to_owned()
    }

    fn changes(&self) -> String {
        if self.networks.is_empty() {
            return "sessions end; clients cannot connect for a few seconds".to_owned();
        }
        format!(
            "sessions end; clients cannot connect for a few seconds; removed: the network {}",
            self.networks.join(", ")
        )
    }

    fn undoing(&self) -> &'static str {
        "they are deployed again"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Removing the existing services", "Existing services removed")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        system.remove_services()?;
        Ok(system.remove_networks(&self.networks)?)
    }

    fn traces(&self) -> Vec<T> {
        Vec::new()
    }
}
