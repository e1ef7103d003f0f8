//! Has a role read its certificates and keys again.

use cmsg_config::{Paths, socket::Role};
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    words::named,
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Has a role read its certificates and keys again. It leaves no trace: the plan holds [`Reloaded`]
/// before the files change, so that roles read the former files after these are restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reload {
    pub(crate) paths: Paths,
    pub(crate) role: Role,
}

/// These roles read certificates and keys that are back by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reloaded(pub(crate) Vec<Role>);

impl<T> Kind<T> for Reload {
    fn name(&self) -> String {
        format!("reload the certificates of the {}", named(self.role))
    }

    fn changes(&self) -> String {
        "it uses the new files; sessions continue".to_owned()
    }

    fn undoing(&self) -> &'static str {
        "it reloads the previous files"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Reloading certificates", "Certificates reloaded")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.reload(&self.paths, self.role)?)
    }

    fn traces(&self) -> Vec<T> {
        Vec::new()
    }
}

impl Undo for Reloaded {
    /// A role that does not run reads them when it starts.
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        self.0
            .iter()
            .filter(|role| system.status(paths, **role).is_ok())
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|role| system.reload(paths, *role))
    }

    fn undoing_by_hand(&self) -> String {
        "restart the services".to_owned()
    }
}
