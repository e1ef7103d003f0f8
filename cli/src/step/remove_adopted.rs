//! Removes the services of another installation that is taken over, and their networks.

use super::{error::StepError, kind::Kind};
use crate::system::System;

/// Removes the services of another installation, and their networks. It leaves no trace: the plan
/// holds that of the services before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoveAdopted {
    pub(crate) networks: Vec<String>,
}

impl<T> Kind<T> for RemoveAdopted {
    fn name(&self) -> String {
        "remove the services that are taken over".to_owned()
    }

    fn changes(&self) -> String {
        if self.networks.is_empty() {
            return "sessions end; clients cannot connect for some seconds".to_owned();
        }
        format!(
            "sessions end; clients cannot connect for some seconds; gone: the network {}",
            self.networks.join(", ")
        )
    }

    fn undoing(&self) -> &'static str {
        "they are deployed again"
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        system.remove_services()?;
        Ok(system.remove_networks(&self.networks)?)
    }

    fn traces(&self) -> Vec<T> {
        Vec::new()
    }
}
