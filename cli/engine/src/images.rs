//! Images: loaded from an archive, or pulled from a registry.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use anyhow::Context as _;
use bollard::{
    auth::DockerCredentials,
    models::ImageInspect,
    query_parameters::{CreateImageOptions, ImportImageOptions, RemoveImageOptions},
};
use bytes::{Bytes, BytesMut};
use futures_util::{TryStreamExt as _, stream};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Engine, unless_absent};

/// So much of an archive is in memory.
const CHUNK: usize = 256 * 1024;

/// Who asks a registry.
#[derive(Debug)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: SecretString,
}

impl Engine {
    /// Loads an archive, and tells how many bytes are on their way.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, or the engine refuses it.
    pub fn load_images(
        &self,
        archive: &Path,
        tell: impl Fn(u64) + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let file = File::open(archive)
            .with_context(|| format!("opening the images `{}`", archive.display()))?;
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
        loaded.with_context(|| format!("loading the images `{}`", archive.display()))
    }

    /// Pulls an image, and tells what the engine says about its progress: bytes there and in all.
    ///
    /// # Errors
    ///
    /// Where the registry refuses, cannot be reached, or does not have it.
    pub fn pull_image(
        &self,
        reference: &str,
        credentials: Option<&Credentials>,
        mut tell: impl FnMut(u64, u64),
    ) -> anyhow::Result<()> {
        let options = CreateImageOptions {
            from_image: Some(reference.to_owned()),
            ..CreateImageOptions::default()
        };
        let credentials = credentials.map(|credentials| DockerCredentials {
            username: Some(credentials.user.clone()),
            password: Some(credentials.password.expose_secret().to_owned()),
            ..DockerCredentials::default()
        });
        let pulling = self.docker.create_image(Some(options), None, credentials);
        let pulled = self.runtime.block_on(pulling.try_for_each(|said| {
            if let Some(progress) = said.progress_detail {
                let count = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
                tell(count(progress.current).unwrap_or(0), count(progress.total).unwrap_or(0));
            }
            std::future::ready(Ok(()))
        }));
        pulled.with_context(|| format!("pulling the image `{reference}`"))
    }

    /// What the engine calls the image of that name; none where it has no such image.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub fn image_id(&self, name: &str) -> anyhow::Result<Option<String>> {
        let found = self.runtime.block_on(self.docker.inspect_image(name));
        let found = unless_absent(found.map(Some))
            .with_context(|| format!("asking for the image `{name}`"))?;
        Ok(found.and_then(|ImageInspect { id, .. }| id))
    }

    /// Removes a name of an image, and the image with its last name; one that is not there stays
    /// away.
    ///
    /// # Errors
    ///
    /// Where the engine refuses, e.g. since a container uses it.
    pub fn remove_image(&self, name: &str) -> anyhow::Result<()> {
        let removing = self.docker.remove_image(name, None::<RemoveImageOptions>, None);
        let removed = self.runtime.block_on(removing);
        unless_absent(removed.map(drop)).with_context(|| format!("removing the image `{name}`"))
    }
}

fn read(file: &mut File) -> io::Result<Bytes> {
    let mut bytes = BytesMut::zeroed(CHUNK);
    let read = file.read(&mut bytes)?;
    bytes.truncate(read);
    Ok(bytes.freeze())
}
