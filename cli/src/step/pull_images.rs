//! Pulls images from a registry.

use cmsg_config::socket::Role;
use cmsg_engine::reference;

use super::{error::StepError, kind::Kind, load_images::NewImages, words::new_images};
use crate::{
    progress::stage::{Group, Stage},
    system::{System, Who},
};

/// Pulls images from a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PullImages {
    pub(crate) registry: String,
    /// Who asks, where it is not open.
    pub(crate) who: Option<Who>,
    /// The roles that they run.
    pub(crate) roles: Vec<Role>,
    /// Those of them that are not there under their names.
    pub(crate) images: Vec<String>,
}

impl<T: From<NewImages>> Kind<T> for PullImages {
    fn name(&self) -> String {
        "pull the images".to_owned()
    }

    fn changes(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let name = |role: &Role| reference(&self.registry, *role, version);
        let names: Vec<_> = self.roles.iter().map(name).collect();
        format!("new: {}", names.join(", "))
    }

    fn undoing(&self) -> &'static str {
        "the images are removed"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Pulling images", "Images pulled")
    }

    fn on_host(&self) -> Option<String> {
        Some(new_images(self.roles.len()))
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        let Self { registry, who, roles, .. } = self;
        let mut roles = roles.iter();
        Ok(roles.try_for_each(|role| system.pull_image(registry, *role, who.as_ref()))?)
    }

    fn traces(&self) -> Vec<T> {
        vec![NewImages(self.images.clone()).into()]
    }
}
