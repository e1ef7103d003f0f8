//! Loads images from an archive, and manages their names.

mod names;
mod ours;
mod progress;
mod pull;
mod refusal;
mod take;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
};

use anyhow::Context as _;
use bollard::{
    models::ImageInspect,
    query_parameters::{
        ImportImageOptions, ListContainersOptions, RemoveImageOptions, TagImageOptions,
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::{TryStreamExt as _, stream};
use secrecy::SecretString;

use crate::{Engine, STACK, archive::Source, services::NAMESPACE, unless_absent};

pub use names::{LOCAL, image_name, reference};
pub use ours::Foreign;
pub use pull::{Pull, Pulled, Pulling, Tell};
pub use refusal::{PullError, Refusal};

/// How much of an archive is kept in memory, in bytes.
const CHUNK: usize = 256 * 1024;

/// Credentials for a registry.
#[derive(Debug)]
pub struct Credentials {
    pub user: String,
    pub password: SecretString,
}

impl Engine {
    /// Loads an archive. Reports the number of bytes sent.
    ///
    /// # Errors
    ///
    /// If the archive cannot be read, or the engine refuses it.
    pub fn load_images(
        &self,
        archive: &Source,
        tell: impl Fn(u64) + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let path = archive.path().display();
        let file = archive.open().with_context(|| format!("opening the images `{path}`"))?;
        let chunks = stream::try_unfold((file, 0), move |(mut file, sent)| {
            tell(sent);
            let chunk = read(&mut file);
            std::future::ready(chunk.map(|chunk| {
                let sent = sent + chunk.len() as u64;
                (!chunk.is_empty()).then_some((chunk, (file, sent)))
            }))
        });
        let options = ImportImageOptions::default();
        let loading = self.docker.import_image_stream(options, chunks, None);
        let loaded = self.runtime.block_on(loading.try_for_each(|_| std::future::ready(Ok(()))));
        loaded.with_context(|| format!("loading the images `{path}`"))
    }

    /// The id of the image with this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn image_id(&self, name: &str) -> anyhow::Result<Option<String>> {
        let found = self.runtime.block_on(self.docker.inspect_image(name));
        let found = unless_absent(found.map(Some))
            .with_context(|| format!("inspecting the image `{name}`"))?;
        Ok(found.and_then(|ImageInspect { id, .. }| id))
    }

    /// Gives an image, identified by id or name, an additional name with a tag. Another image with
    /// this name loses it.
    ///
    /// # Errors
    ///
    /// If the image does not exist, or the name is invalid.
    pub fn tag_image(&self, image: &str, name: &str) -> anyhow::Result<()> {
        let tagged = self.runtime.block_on(self.docker.tag_image(image, Some(tag(name))));
        tagged.with_context(|| format!("tagging the image `{image}` `{name}`"))
    }

    /// Removes a name of an image, and the image with its last name. Succeeds if there is none.
    ///
    /// # Errors
    ///
    /// If the engine refuses, for example because a container uses the image.
    pub fn remove_image(&self, name: &str) -> anyhow::Result<()> {
        let removing = self.docker.remove_image(name, None::<RemoveImageOptions>, None);
        let removed = self.runtime.block_on(removing);
        unless_absent(removed.map(drop)).with_context(|| format!("removing the image `{name}`"))
    }

    /// Whether a container outside the stack uses an image, identified by name or id.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn is_used_by_others(&self, image: &str) -> anyhow::Result<bool> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([("ancestor".to_owned(), vec![image.to_owned()])])),
            ..ListContainersOptions::default()
        };
        let containers = self.runtime.block_on(self.docker.list_containers(Some(options)));
        let containers = containers.context("finding the containers of an image")?;
        Ok(containers.iter().any(|container| {
            let stack = container.labels.as_ref().and_then(|labels| labels.get(NAMESPACE));
            stack.is_none_or(|stack| stack != STACK)
        }))
    }
}

/// Splits a name into repository and tag. The port of a registry is not a tag.
fn tag(name: &str) -> TagImageOptions {
    let (repo, tag) = match name.rsplit_once(':') {
        Some((repo, tag)) if !tag.contains('/') => (repo, tag),
        _ => (name, "latest"),
    };
    TagImageOptions { repo: Some(repo.to_owned()), tag: Some(tag.to_owned()) }
}

fn read(file: &mut File) -> io::Result<Bytes> {
    let mut bytes = BytesMut::zeroed(CHUNK);
    let read = file.read(&mut bytes)?;
    bytes.truncate(read);
    Ok(bytes.freeze())
}
