//! Pulls an image from a registry: retries transient failures, stops on request, and keeps the
//! image only if it is the requested one.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    pin::pin,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    auth::DockerCredentials,
    errors::Error,
    models::ImageInspect,
    query_parameters::{CreateImageOptions, ListImagesOptions, RemoveImageOptions},
};
use cmsg_config::socket::Role;
use futures_util::TryStreamExt as _;
use secrecy::ExposeSecret as _;

use super::{
    Credentials, ours,
    progress::Progress,
    reference,
    refusal::{PullError, Refusal},
    tag,
};
use crate::{Engine, unless_absent};

/// Number of attempts if the registry fails temporarily.
const ATTEMPTS: u32 = 5;
/// Pause before the second attempt; doubles with each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the caller is asked whether to continue.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// How long an engine that pulls may be silent.
pub(super) const QUIET: Duration = Duration::from_secs(120);
/// How long an engine may take to notice that a pull was cancelled.
const FORGET: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Pull<'a> {
    /// `HOST[:PORT][/PATH]`.
    pub registry: &'a str,
    pub role: Role,
    /// Version of the product, and tag of the image.
    pub version: &'a str,
    pub credentials: Option<&'a Credentials>,
}

/// An event during a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pulling<'a> {
    /// Received and total bytes, as far as the engine knows them.
    Progress {
        /// Received bytes.
        there: u64,
        /// Total bytes.
        all: u64,
    },
    /// An attempt failed, and is repeated.
    Again {
        /// Pause before the next attempt.
        after: Duration,
        why: &'a PullError,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    pub name: String,
    pub id: String,
    /// Digest of its layer.
    pub layer: String,
    /// Its digest in the registry, `NAME@sha256:…`.
    pub digest: Option<String>,
    /// Whether the image existed before the pull.
    pub was_there: bool,
}

/// Receives events, at least ten times a second. `Break` cancels the pull.
pub type Tell<'a> = dyn FnMut(Pulling<'_>) -> ControlFlow<()> + 'a;

/// The images before a pull.
pub(super) struct Before {
    /// The image with this name.
    named: Option<String>,
    ids: BTreeSet<String>,
}

impl Engine {
    /// Pulls an image. An image that is not the requested one is removed, and so are the remains of
    /// a cancelled pull.
    ///
    /// # Errors
    ///
    /// [`PullError`] with a hint.
    pub fn pull(&self, pull: &Pull<'_>, tell: &mut Tell<'_>) -> Result<Pulled, PullError> {
        self.runtime.block_on(run(&self.docker, pull, tell)).map(|(pulled, _)| pulled)
    }
}

/// Pulls an image. Returns the images that existed before.
pub(super) async fn run(
    docker: &Docker,
    pull: &Pull<'_>,
    tell: &mut Tell<'_>,
) -> Result<(Pulled, Before), PullError> {
    let name = reference(pull.registry, pull.role, pull.version);
    let other = |error: Error| PullError::of(&name, &error.to_string(), true);
    let before = before(docker, &name).await.map_err(other)?;
    let fetched = fetch(docker, &name, pull.credentials, tell).await;
    let judged = match fetched {
        Ok(()) => accept(docker, &name, pull.version, &before).await,
        Err(error) => Err(error),
    };
    let mut error = match judged {
        Ok(pulled) => return Ok((pulled, before)),
        Err(error) => error,
    };
    let may_come = error.why == Refusal::Cancelled;
    if let Err(left) = restore(docker, &name, &before, may_come).await {
        error.said = format!("{}; removing it again: {}", error.said, words(left));
    }
    Err(error)
}

async fn before(docker: &Docker, name: &str) -> Result<Before, Error> {
    let images = docker.list_images(None::<ListImagesOptions>).await?;
    let ids = images.into_iter().map(|image| image.id).collect();
    Ok(Before { named: inspect(docker, name).await?.and_then(|image| image.id), ids })
}

/// Has the engine pull the image, with several attempts.
async fn fetch(
    docker: &Docker,
    name: &str,
    credentials: Option<&Credentials>,
    tell: &mut Tell<'_>,
) -> Result<(), PullError> {
    let mut after = PAUSE;
    for attempt in 1.. {
        match attempt_once(docker, name, credentials, tell).await {
            Err(why) if why.is_transient() && attempt < ATTEMPTS => {
                let mut is_over = tell(Pulling::Again { after, why: &why }).is_break();
                let begun = Instant::now();
                while !is_over && begun.elapsed() < after {
                    tokio::time::sleep(TICK.min(after)).await;
                    is_over = tell(Pulling::Progress { there: 0, all: 0 }).is_break();
                }
                if is_over {
                    return Err(PullError::new(name, Refusal::Cancelled));
                }
                after *= 2;
            }
            ended => return ended,
        }
    }
    Ok(())
}

async fn attempt_once(
    docker: &Docker,
    name: &str,
    credentials: Option<&Credentials>,
    tell: &mut Tell<'_>,
) -> Result<(), PullError> {
    let options =
        CreateImageOptions { from_image: Some(name.to_owned()), ..CreateImageOptions::default() };
    let who = credentials.map(|credentials| DockerCredentials {
        username: Some(credentials.user.clone()),
        password: Some(credentials.password.expose_secret().to_owned()),
        ..DockerCredentials::default()
    });
    let mut said = pin!(docker.create_image(Some(options), None, who));
    let mut progress = Progress::default();
    let mut heard = Instant::now();
    loop {
        match tokio::time::timeout(TICK, said.try_next()).await {
            Ok(Ok(Some(news))) => {
                progress.note(news);
                heard = Instant::now();
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => {
                return Err(PullError::of(name, &words(error), credentials.is_some()));
            }
            Err(_) if heard.elapsed() > QUIET => {
                return Err(PullError::new(name, Refusal::TimedOut));
            }
            Err(_) => {}
        }
        let (there, all) = progress.sum();
        if tell(Pulling::Progress { there, all }).is_break() {
            // The engine cancels a pull when its client disconnects.
            return Err(PullError::new(name, Refusal::Cancelled));
        }
    }
}

/// The engine's message without the prefix of the client library.
fn words(error: Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message,
        Error::DockerStreamError { error } => error,
        error => error.to_string(),
    }
}

/// Accepts the image with this name if it is the requested one.
async fn accept(
    docker: &Docker,
    name: &str,
    version: &str,
    before: &Before,
) -> Result<Pulled, PullError> {
    let other = |error: Error| PullError::of(name, &words(error), true);
    let image = inspect(docker, name).await.map_err(other)?;
    let Some(image) = image else { return Err(PullError::new(name, Refusal::NotFound)) };
    let architecture = docker.version().await.map_err(other)?.arch.unwrap_or_default();
    let foreign = |foreign| PullError::new(name, Refusal::Foreign(foreign));
    let layer = ours::judge(&image, version, &architecture).map_err(foreign)?;
    let id = image.id.unwrap_or_default();
    let repository = name.rsplit_once(':').map_or(name, |(repository, _)| repository);
    let is_of_it = |digest: &String| digest.split('@').next() == Some(repository);
    Ok(Pulled {
        digest: image.repo_digests.into_iter().flatten().find(is_of_it),
        was_there: before.ids.contains(&id),
        name: name.to_owned(),
        id,
        layer,
    })
}

/// Restores the previous owner of the name, and removes the pulled image, which may still appear.
pub(super) async fn restore(
    docker: &Docker,
    name: &str,
    before: &Before,
    may_come: bool,
) -> Result<(), Error> {
    let begun = Instant::now();
    loop {
        let now = inspect(docker, name).await?.and_then(|image| image.id);
        if let Some(id) = now.filter(|id| before.named.as_ref() != Some(id)) {
            let mut gone = name;
            if let Some(former) = &before.named {
                docker.tag_image(former, Some(tag(name))).await?;
                gone = &id;
            }
            // An image that existed before, under any name or none, stays.
            if before.named.is_some() && before.ids.contains(&id) {
                return Ok(());
            }
            let removed = docker.remove_image(gone, None::<RemoveImageOptions>, None).await;
            return unless_absent(removed.map(drop));
        }
        // A pull that was cancelled at its end may still complete.
        if !may_come || begun.elapsed() > FORGET {
            return Ok(());
        }
        tokio::time::sleep(TICK).await;
    }
}

async fn inspect(docker: &Docker, name: &str) -> Result<Option<ImageInspect>, Error> {
    unless_absent(docker.inspect_image(name).await.map(Some))
}
