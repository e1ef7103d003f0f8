//! Removes the services from the Docker engine.

use std::path::PathBuf;

use cmsg_config::{Paths, socket::Role};
use cmsg_engine::STACK;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    live,
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemoveServices {
    pub(crate) paths: Paths,
    /// The files that deployed them.
    pub(crate) files: Vec<PathBuf>,
    /// The roles that they run.
    pub(crate) roles: Vec<Role>,
}

/// The services, which run these roles, were as these files, which are back by then, say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deployed(pub(crate) Vec<PathBuf>, pub(crate) Vec<Role>);

impl<T: From<Deployed>> Kind<T> for RemoveServices {
    fn name(&self) -> String {
        "remove the services".to_owned()
    }

    fn changes(&self) -> String {
        "sessions end; clients cannot connect".to_owned()
    }

    fn undoing(&self) -> &'static str {
        "the services are deployed again"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Removing the services", "Services removed")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.remove_services()?)
    }

    fn traces(&self) -> Vec<T> {
        vec![Deployed(self.files.clone(), self.roles.clone()).into()]
    }
}

impl Undo for Deployed {
    fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        let Self(files, roles) = self;
        system.deploy(files)?;
        live::wait_back(paths, roles, system)
    }

    fn undoing_by_hand(&self) -> String {
        let files: Vec<_> = self.0.iter().map(|f| format!("-c {}", f.display())).collect();
        let set = if files.len() > 1 {
            " with `PCOIP_CM_IMAGE` and `PCOIP_SG_IMAGE` set to the labels \
             `pcoip-cmsg.image` of the second file"
        } else {
            ""
        };
        format!("run `docker stack deploy --resolve-image never {} {STACK}`{set}", files.join(" "))
    }
}
