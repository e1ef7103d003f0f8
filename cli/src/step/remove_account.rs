//! Removes the account when all else is done.

use cmsg_config::Paths;

use super::{
    error::StepError,
    kind::{Kind, NOTHING, Undo},
};
use crate::{
    installation::account::NAME,
    progress::stage::{Group, Stage},
    system::System,
};

/// Removes the account when all else is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoveAccount;

/// The account goes when everything else is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccountGoes;

impl<T: From<AccountGoes>> Kind<T> for RemoveAccount {
    fn name(&self) -> String {
        format!("remove the account {NAME}")
    }

    fn changes(&self) -> String {
        format!("removed: the user and group `{NAME}`")
    }

    fn undoing(&self) -> &'static str {
        "it is not removed before all other steps are done"
    }

    fn stage(&self) -> Stage {
        Stage::hidden(Group::Host)
    }

    /// It goes when what is aside is gone.
    fn perform(&self, _system: &mut dyn System) -> Result<(), StepError> {
        Ok(())
    }

    fn traces(&self) -> Vec<T> {
        vec![AccountGoes.into()]
    }
}

impl Undo for AccountGoes {
    fn undo(&self, _paths: &Paths, _system: &mut dyn System) -> anyhow::Result<()> {
        Ok(())
    }

    fn undoing_by_hand(&self) -> String {
        NOTHING.to_owned()
    }

    fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_account()
    }

    fn finishing_by_hand(&self) -> String {
        format!("run `userdel {NAME}`")
    }
}
