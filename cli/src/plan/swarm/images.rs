//! The images that are to run: out of an archive beside this program, or from a registry.

use cmsg_config::socket::Role;
use cmsg_engine::{EngineFacts, archive::ImageArchive, reference};

use crate::{
    args::settings::Setting,
    host::Facts,
    step::{Step, load_images::LoadImages, pull_images::PullImages},
    system::Who,
    wanted::{Registry, Wanted},
};

/// The product's version, which is an image's tag too.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where they come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    Archive(&'a ImageArchive),
    Registry(&'a Registry),
}

pub(super) struct Image {
    pub(super) name: String,
    /// What tells it from another one of that name, as far as that is known before it is there.
    pub(super) build: String,
}

impl<'a> Source<'a> {
    /// The one that is asked for, if it is there.
    pub(super) fn of(wanted: &'a Wanted, facts: &'a Facts) -> Option<Self> {
        // Those that come back are there, wherever they came from.
        if facts.back_to.is_none()
            && let Some(registry) = &wanted.docker.registry
        {
            return Some(Self::Registry(registry));
        }
        facts.deploying.as_ref()?.images.as_ref().ok().map(Self::Archive)
    }

    /// The image of a role.
    pub(super) fn image(self, role: Role) -> Option<Image> {
        match self {
            Self::Archive(archive) => {
                let image = archive.image(role)?;
                Some(Image { name: image.tag.clone(), build: image.layer.clone() })
            }
            Self::Registry(registry) => {
                let name = reference(registry.as_str(), role, VERSION);
                Some(Image { name, build: String::new() })
            }
        }
    }

    /// The step that brings what is not there.
    pub(super) fn bring(
        self,
        wanted: &Wanted,
        facts: &Facts,
        engine: &EngineFacts,
    ) -> Option<Step> {
        let has_name = |name: &String| engine.images.iter().any(|it| it.tags.contains(name));
        match self {
            Self::Archive(archive) => {
                let is_there = |tag: &String, layer: &str| {
                    let mut all = engine.images.iter();
                    all.any(|it| it.tags.contains(tag) && it.layer.as_deref() == Some(layer))
                };
                if archive.images.iter().all(|image| is_there(&image.tag, &image.layer)) {
                    return None;
                }
                let images = archive.images.iter().map(|image| image.tag.clone());
                let images = images.filter(|tag| !has_name(tag)).collect();
                let archive = archive.source.clone();
                Some(Step::LoadImages(LoadImages { archive, images }))
            }
            Self::Registry(registry) => {
                let name = |role| reference(registry.as_str(), role, VERSION);
                // One that is none of ours is pulled, and judged.
                let is_there = |role: &Role| {
                    let name = name(*role);
                    let mut all = engine.images.iter();
                    all.any(|it| it.tags.contains(&name) && it.layer.is_some())
                };
                let missing: Vec<_> =
                    wanted.roles().into_iter().filter(|role| !is_there(role)).collect();
                let images = missing.iter().map(|role| name(*role));
                let images = images.filter(|name| !has_name(name)).collect();
                let registry = registry.as_str().to_owned();
                let who = who(wanted, facts);
                (!missing.is_empty()).then_some(Step::PullImages(PullImages {
                    registry,
                    who,
                    roles: missing,
                    images,
                }))
            }
        }
    }
}

/// Who asks a registry, if it is not open.
fn who(wanted: &Wanted, facts: &Facts) -> Option<Who> {
    let user = wanted.docker.user.as_ref()?.to_string();
    let password = facts.given.get(&Setting::DockerPassword)?.as_ref().ok()?.clone();
    Some(Who { user, password })
}
