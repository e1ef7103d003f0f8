//! Sets the owner, group and mode of files and folders.

use std::path::PathBuf;

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    words::List,
};
use crate::{
    installation::account::{AccessChange, Ownership},
    progress::stage::{Group, Stage},
    system::System,
};

/// Sets the owner, group and mode of files and folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandOver(pub(crate) Vec<AccessChange>);

/// The owner, group and mode of a path were these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HandedOver(pub(crate) PathBuf, pub(crate) Ownership);

impl<T: From<HandedOver>> Kind<T> for HandOver {
    fn name(&self) -> String {
        "set file permissions".to_owned()
    }

    fn changes(&self) -> String {
        let paths: Vec<_> = self.0.iter().map(|change| change.path.clone()).collect();
        format!("owner, group and mode of {}", List(&paths))
    }

    fn undoing(&self) -> &'static str {
        "the previous owners and modes are restored"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Host, "Setting file permissions", "File permissions set")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(self.0.iter().try_for_each(|it| system.hand_over(&it.path, it.access))?)
    }

    fn traces(&self) -> Vec<T> {
        let before = |it: &AccessChange| Some(HandedOver(it.path.clone(), it.before?).into());
        self.0.iter().filter_map(before).collect()
    }
}

impl Undo for HandedOver {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        let Self(path, before) = self;
        system.hand_back(path, *before)
    }

    fn undoing_by_hand(&self) -> String {
        let Self(path, Ownership { user, group, mode, .. }) = self;
        let path = path.display();
        format!("run `chown {user}:{group} {path}` and `chmod {mode:o} {path}`")
    }
}
