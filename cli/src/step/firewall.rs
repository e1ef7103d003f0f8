//! Changes rules of firewalld, one after the other, each with its opposite.

use serde::{Deserialize, Serialize};

use crate::{installation::firewall::Edit, system::System};

/// Rules that change, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirewallStep {
    /// Which.
    pub(crate) edits: Vec<Edit>,
}

impl FirewallStep {
    /// Makes the changes.
    ///
    /// # Errors
    ///
    /// Where firewalld refuses.
    pub(super) fn perform(&self, system: &mut dyn System) -> anyhow::Result<()> {
        self.edits.iter().try_for_each(|edit| system.edit_firewall(edit))
    }

    /// Takes them back, last first, and as many as can be.
    ///
    /// # Errors
    ///
    /// Where firewalld refuses.
    pub(super) fn undo(&self, system: &mut dyn System) -> anyhow::Result<()> {
        let undo = |edit: &Edit| system.edit_firewall(&edit.opposite());
        let all: Vec<_> = self.edits.iter().rev().map(undo).collect();
        all.into_iter().collect()
    }

    /// What is different afterwards.
    pub(super) fn changes(&self) -> String {
        self.edits.iter().map(Edit::change).collect::<Vec<_>>().join("; ")
    }

    /// How an operator undoes it who has to do it without the installer.
    pub(super) fn undoing_by_hand(&self) -> String {
        let commands = self.edits.iter().rev().map(|edit| edit.opposite().by_hand());
        format!("run {}", commands.collect::<Vec<_>>().join(" and "))
    }
}
