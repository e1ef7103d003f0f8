//! Loads images from an archive.

use cmsg_config::Paths;
use cmsg_engine::archive::Source;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
    words::new_images,
};
use crate::{
    progress::stage::{Group, Stage},
    system::System,
};

/// Loads images from an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadImages {
    /// What they are read from.
    pub(crate) archive: Source,
    /// The images in it that are not there under their names.
    pub(crate) images: Vec<String>,
}

/// Images of these names are there that were not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewImages(pub(crate) Vec<String>);

impl<T: From<NewImages>> Kind<T> for LoadImages {
    fn name(&self) -> String {
        "load the images".to_owned()
    }

    fn changes(&self) -> String {
        format!("new: {}, from `{}`", self.images.join(", "), self.archive.path().display())
    }

    fn undoing(&self) -> &'static str {
        "the images are removed"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Loading images", "Images loaded")
    }

    fn on_host(&self) -> Option<String> {
        Some(new_images(self.images.len()))
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(system.load_images(&self.archive)?)
    }

    fn traces(&self) -> Vec<T> {
        vec![NewImages(self.images.clone()).into()]
    }
}

impl Undo for NewImages {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        system.remove_images(&self.0)
    }

    fn undoing_by_hand(&self) -> String {
        format!("run `docker rmi {}`", self.0.join(" "))
    }
}
