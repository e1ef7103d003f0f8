//! Makes the account that runs the roles.

use cmsg_config::Paths;

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    installation::account::NAME,
    progress::stage::{Group, Stage},
    system::System,
};

/// Makes the account that runs the roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MakeAccount;

/// The account is there that was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewAccount;

impl<T: From<NewAccount>> Kind<T> for MakeAccount {
    fn name(&self) -> String {
        format!("create the account {NAME}")
    }

    fn changes(&self) -> String {
        format!("new: the system user and group `{NAME}`, which run the services")
    }

    fn undoing(&self) -> &'static str {
        "the account is removed"
    }

    fn stage(&self) -> Stage {
        Stage::new(
            Group::Host,
            format!("Creating the account `{NAME}`"),
            format!("Account `{NAME}` created"),
        )
    }

    fn on_host(&self) -> Option<String> {
        Some(format!("account `{NAME}`"))
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.make_account()?)
    }

    fn traces(&self) -> Vec<T> {
        vec![NewAccount.into()]
    }
}

impl Undo for NewAccount {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_account()
    }

    fn undoing_by_hand(&self) -> String {
        format!("run `userdel {NAME}`")
    }
}
