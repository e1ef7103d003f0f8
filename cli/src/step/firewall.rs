//! Changes rules of firewalld, one after the other, each with its opposite.

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    installation::firewall::Edit,
    progress::stage::{Group, Stage},
    system::System,
};

/// Rules that change, in this order. A trace of it says that they were others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirewallStep {
    pub(crate) edits: Vec<Edit>,
}

impl<T: From<Self>> Kind<T> for FirewallStep {
    fn name(&self) -> String {
        "configure the firewall".to_owned()
    }

    fn changes(&self) -> String {
        self.edits.iter().map(Edit::change).collect::<Vec<_>>().join("; ")
    }

    fn undoing(&self) -> &'static str {
        "the previous rules are restored"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Host, "Configuring the firewall", "Firewall configured")
    }

    fn on_host(&self) -> Option<String> {
        Some("firewall rules".to_owned())
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(self.edits.iter().try_for_each(|edit| system.edit_firewall(edit))?)
    }

    fn traces(&self) -> Vec<T> {
        vec![self.clone().into()]
    }
}

impl Undo for FirewallStep {
    /// Takes them back, last first, and as many as can be.
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        let undo = |edit: &Edit| system.edit_firewall(&edit.opposite());
        let all: Vec<_> = self.edits.iter().rev().map(undo).collect();
        all.into_iter().collect()
    }

    fn undoing_by_hand(&self) -> String {
        let commands = self.edits.iter().rev().map(|edit| edit.opposite().by_hand());
        format!("run {}", commands.collect::<Vec<_>>().join(" and "))
    }
}
