//! Holds traces that come into effect when everything after this step is undone.

use super::{error::StepError, kind::Kind, trace::Trace};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Changes nothing; its traces are undone after those of all steps that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold(pub(crate) Vec<Trace>);

impl Kind<Trace> for Hold {
    fn name(&self) -> String {
        "record the running services".to_owned()
    }

    fn changes(&self) -> String {
        "the host itself is not changed".to_owned()
    }

    fn undoing(&self) -> &'static str {
        "the services run as before"
    }

    fn stage(&self) -> Stage {
        Stage::hidden(Group::Deployment)
    }

    fn perform(&self, _system: &mut dyn System) -> Result<(), StepError> {
        Ok(())
    }

    fn traces(&self) -> Vec<Trace> {
        self.0.clone()
    }
}
