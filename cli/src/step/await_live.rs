//! Waits until the roles answer.

use cmsg_config::Paths;

use super::{error::StepError, kind::Kind, live, words::named};
use crate::{
    progress::stage::{Group, Stage},
    system::{Awaited, System},
};

/// Waits until the roles answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AwaitLive {
    pub(crate) paths: Paths,
    /// The roles, and how they answer.
    pub(crate) roles: Vec<Awaited>,
    /// Where they listen, for people.
    pub(crate) listens: Vec<String>,
}

impl<T> Kind<T> for AwaitLive {
    fn name(&self) -> String {
        "wait until the services are healthy".to_owned()
    }

    fn changes(&self) -> String {
        format!("the services listen on {}", self.listens.join(", "))
    }

    fn undoing(&self) -> &'static str {
        "nothing to undo"
    }

    fn stage(&self) -> Stage {
        let finished = match &self.roles[..] {
            [only] => format!("The {} is running", named(only.role)),
            _ => "Both services are running".to_owned(),
        };
        Stage::new(Group::Health, "Checking the services", finished)
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(live::wait(&self.paths, &self.roles, system)?)
    }

    fn traces(&self) -> Vec<T> {
        Vec::new()
    }
}
