//! The Docker engine: the one room that speaks to it. What it answers becomes facts; what a plan
//! wants of it is one method each. What it is given (the stack file, the archive of images) is made
//! and read here too, without it.

pub mod archive;
mod facts;
mod images;
mod others;
mod services;
pub mod stack;
mod swarm;
mod words;

use std::{
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use bollard::{API_DEFAULT_VERSION, Docker};

pub use facts::{
    Availability, CgroupFact, EngineFacts, ImageFact, MountFact, NetworkFact, NodeFact,
    ServiceFact, SwarmFact, Version,
};
pub use images::{
    Credentials, Foreign, LOCAL, Pull, PullError, Pulled, Pulling, Refusal, Tell, image_name,
    reference,
};
pub use others::{Others, Written, is_others};
pub use services::{Failure, Running};

/// Where the engine listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// An engine that answers at all answers a question within this time.
const ANSWER: Duration = Duration::from_secs(30);
/// To load an image or to leave a swarm takes longer.
const WORK_SECONDS: u64 = 600;

/// The name of the stack, as the administrators' guide gives it.
pub const STACK: &str = "pcoipcm";
/// Marks what this installer made, so that it never touches anything else.
pub const LABEL: &str = "pcoip-cmsg.installed-by";
/// The label's value.
pub const LABEL_VALUE: &str = "pcoip-cmsg-setup";
/// Names the layer of an image of ours, by digest.
pub const LAYER_LABEL: &str = "pcoip-cmsg.layer";
/// Names the version of an image, as the Open Container Initiative has it.
pub const VERSION_LABEL: &str = "org.opencontainers.image.version";

/// A connection to the engine of this host.
#[derive(Debug)]
pub struct Engine {
    runtime: tokio::runtime::Runtime,
    docker: Docker,
    /// As `DOCKER_HOST` writes it.
    address: String,
}

/// Why there is no engine to speak to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoEngine {
    /// No socket.
    Absent(PathBuf),
    /// A socket where nobody answers.
    Silent(PathBuf),
    /// A socket that this user may not open.
    Forbidden(PathBuf),
    /// `DOCKER_HOST` names another host's engine.
    Elsewhere(String),
    /// It answers in another way than an engine does.
    Odd(String),
}

impl Engine {
    /// Connects to the engine whose socket `DOCKER_HOST` names, else the usual one, and agrees on a
    /// version of its language.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn connect() -> Result<Self, NoEngine> {
        Self::at(socket(std::env::var("DOCKER_HOST").ok())?)
    }

    /// Connects to the engine at a socket.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn at(socket: PathBuf) -> Result<Self, NoEngine> {
        if let Err(error) = UnixStream::connect(&socket) {
            return Err(NoEngine::of(&error, socket));
        }
        let odd = |error: &dyn std::fmt::Display| NoEngine::Odd(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| odd(&error))?;
        let address = format!("unix://{}", socket.display());
        let docker = runtime.block_on(async {
            let docker = Docker::connect_with_unix(&address, WORK_SECONDS, API_DEFAULT_VERSION);
            let docker = docker.map_err(|error| odd(&error))?;
            match tokio::time::timeout(ANSWER, docker.negotiate_version()).await {
                Ok(docker) => docker.map_err(|error| odd(&error)),
                Err(_) => Err(NoEngine::Silent(socket)),
            }
        })?;
        Ok(Self { runtime, docker, address })
    }

    /// Everything about it that the checks and the plan ask.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub fn facts(&self) -> anyhow::Result<EngineFacts> {
        let socket = self.address.strip_prefix("unix://").unwrap_or_default();
        let asked = self.runtime.block_on(async {
            tokio::time::timeout(ANSWER, facts::read(&self.docker, Path::new(socket))).await
        });
        asked.context("Docker does not answer")?
    }
}

/// Whether a failure is the engine's answer, and not that it does not answer.
#[must_use]
pub fn has_answered(error: &anyhow::Error) -> bool {
    let engine = error.downcast_ref::<bollard::errors::Error>();
    matches!(engine, Some(bollard::errors::Error::DockerResponseServerError { .. }))
}

/// Whether Docker manages a swarm and its network layer does not know. Docker 20.10 sometimes gets there
/// when a swarm is unlocked right after Docker has started; only a restart of Docker helps.
#[must_use]
pub fn is_detached(error: &anyhow::Error) -> bool {
    let engine = error.downcast_ref::<bollard::errors::Error>();
    matches!(
        engine,
        Some(bollard::errors::Error::DockerResponseServerError { status_code: 500, message })
            if message.starts_with("This node is not a swarm manager.")
    )
}

/// The same failure, without the words of a library for an engine that has gone away.
#[must_use]
pub fn in_words(error: anyhow::Error) -> anyhow::Error {
    use bollard::errors::Error;
    let is_away = |cause: &(dyn std::error::Error + 'static)| {
        matches!(
            cause.downcast_ref(),
            Some(
                Error::HyperLegacyError { .. }
                    | Error::HyperResponseError { .. }
                    | Error::HttpClientError { .. }
                    | Error::IOError { .. }
                    | Error::RequestTimeoutError
            )
        )
    };
    let Some(place) = error.chain().position(is_away) else { return error };
    let doing: Vec<_> = error.chain().take(place).map(ToString::to_string).collect();
    let away = anyhow::anyhow!("Docker no longer answers");
    doing.into_iter().rev().fold(away, anyhow::Error::context)
}

/// Takes "there is no such thing" for done.
fn unless_absent<T: Default>(
    result: Result<T, bollard::errors::Error>,
) -> Result<T, bollard::errors::Error> {
    match result {
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
            Ok(T::default())
        }
        result => result,
    }
}

impl NoEngine {
    fn of(error: &std::io::Error, socket: PathBuf) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Absent(socket),
            std::io::ErrorKind::PermissionDenied => Self::Forbidden(socket),
            _ => Self::Silent(socket),
        }
    }
}

fn socket(host: Option<String>) -> Result<PathBuf, NoEngine> {
    match host.filter(|host| !host.is_empty()) {
        None => Ok(SOCKET.into()),
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) => Ok(path.into()),
            None => Err(NoEngine::Elsewhere(host)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_hosts_engine_is_not_spoken_to() {
        assert_eq!(socket(None), Ok(PathBuf::from(SOCKET)));
        assert_eq!(socket(Some(String::new())), Ok(PathBuf::from(SOCKET)));
        assert_eq!(socket(Some("unix:///run/x".to_owned())), Ok(PathBuf::from("/run/x")));
        let host = "tcp://192.0.2.1:2375".to_owned();
        assert_eq!(socket(Some(host.clone())), Err(NoEngine::Elsewhere(host)));
    }

    #[test]
    fn a_network_layer_without_its_swarm_is_recognised() {
        use bollard::errors::Error;
        let refused = |status_code, message: &str| {
            let message = message.to_owned();
            anyhow::Error::from(Error::DockerResponseServerError { status_code, message })
                .context("making the network `n`")
        };
        // As Docker 20.10.24 says it. A worker, and a manager without a majority, answer with 503.
        const SAID: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker \
                            swarm join\" to connect this node to swarm and try again.";

        assert!(is_detached(&refused(500, SAID)));
        assert!(!is_detached(&refused(503, SAID)));
        assert!(!is_detached(&refused(500, "no space left on device")));
    }

    #[test]
    fn an_engine_that_has_gone_is_told_without_the_words_of_a_library() {
        use bollard::errors::Error;
        let gone = Error::IOError { err: std::io::Error::other("hyper") };
        let refused =
            Error::DockerResponseServerError { status_code: 409, message: "in use".to_owned() };
        let told = |error: Error| {
            let error = anyhow::Error::from(error).context("removing it").context("undoing");
            format!("{:#}", in_words(error))
        };

        assert_eq!(told(gone), "undoing: removing it: Docker no longer answers");
        assert!(told(refused).ends_with("409: in use"));
    }
}
