//! The images that go into a bundle: those of the package, or of a registry.

use std::{
    io::BufWriter,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use cmsg_config::socket::Role;
use cmsg_engine::{
    Credentials, Engine, NoEngine, Pull, PullError, Pulling, Refusal,
    archive::{ImageArchive, rewrite},
    in_words,
};
use tempfile::NamedTempFile;

use super::{Ended, OWN};
use crate::{
    answers::{secrets::Secrets, sources::Sources},
    args::{Global, REGISTRY, RegistryFlags, settings::Layer},
    finding::Finding,
    host::{bundle, engine},
    interrupt, preflight,
    system::{Real, System as _},
    wanted::{Docker, Registry},
};

const NO_IMAGES: &str = "run the installed package's program, put `pcoip-cmsg-images.tar` of this \
                         version next to this program, or specify a registry with \
                         `--docker-registry`";

/// Where they come from.
pub(super) enum Source {
    Package,
    Registry(Registry, Option<Credentials>),
}

/// The archive of both.
pub(super) enum Images {
    Packaged(PathBuf),
    /// One that goes when the bundle is made.
    Taken(NamedTempFile),
}

impl Source {
    /// Reads what is said of it, and what is odd.
    pub(super) fn read(
        flags: &RegistryFlags,
        global: &Global,
        findings: &mut Vec<Finding>,
    ) -> Result<Self, Ended> {
        let sources = Sources::read(&flags.0, global.answers.as_deref())?.only(&REGISTRY);
        let answers = sources.resolve(&Layer::new());
        let (docker, wrong) = Docker::alone(&answers);
        if !wrong.is_empty() {
            return Err(wrong.into());
        }
        let Some(registry) = docker.registry else { return Ok(Self::Package) };
        let (secrets, told) = Secrets::load(&answers, sources.literals());
        if told.iter().any(Finding::is_error) {
            return Err(told.into());
        }
        findings.extend(told);
        let password = secrets.contents().next().map(|(_, password)| password.text().into());
        let who = docker.user.zip(password);
        let credentials =
            who.map(|(user, password)| Credentials { user: user.to_string(), password });
        Ok(Self::Registry(registry, credentials))
    }

    /// Has them in a file.
    pub(super) fn take(&self, system: &mut Real) -> Result<Images, Ended> {
        let images = match self {
            Self::Package => Images::Packaged(engine::archive()?),
            Self::Registry(registry, who) => {
                Images::Taken(pulled(registry.as_str(), who.as_ref(), system)?)
            }
        };
        match ImageArchive::read(images.path()) {
            Ok(_) => Ok(images),
            Err(why) => Err(Ended::Failed(why, Some(NO_IMAGES.to_owned()))),
        }
    }
}

impl Images {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Packaged(path) => path,
            Self::Taken(file) => file.path(),
        }
    }
}

/// What the engine of this host pulls, in the form that the package has it.
fn pulled(
    registry: &str,
    credentials: Option<&Credentials>,
    system: &mut Real,
) -> Result<NamedTempFile, Ended> {
    let engine = Engine::connect(interrupt::is_interrupted).map_err(|why| match why {
        NoEngine::Interrupted => Ended::Interrupted,
        why => vec![preflight::engine::away(&why)].into(),
    })?;
    let room = bundle::room();
    let no_room = || format!("failed to create a file in `{}`", room.display());
    let mut saved = tempfile::tempfile_in(&room).with_context(no_room)?;
    let own = tempfile::Builder::new().prefix("pcoip-cmsg-bundle-").tempfile_in(&room);
    let own = own.with_context(no_room)?;

    let pulls = [Role::Cm, Role::Sg].map(|role| Pull { registry, role, version: OWN, credentials });
    let progress = system.progress();
    let mut tell = |news: Pulling<'_>| {
        if let Pulling::Progress { there, all } = news {
            progress.bytes(there, all);
        }
        if system.pause(Duration::ZERO) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let take = || engine.take(&pulls, &mut saved, &mut tell);
    progress.during("take the images from the registry", take).map_err(failed)?;
    rewrite(&saved, OWN, BufWriter::new(own.as_file()))
        .context("reading the images that Docker saved")?;
    Ok(own)
}

fn failed(error: anyhow::Error) -> Ended {
    match error.downcast_ref::<PullError>() {
        Some(pull) if pull.why == Refusal::Cancelled => Ended::Interrupted,
        pull => {
            let hint = pull.and_then(PullError::hint);
            Ended::Failed(in_words(error), hint)
        }
    }
}
