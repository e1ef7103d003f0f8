//! The Docker engine: the only crate that communicates with it. Its state becomes facts, and each
//! operation of a plan is one method. The stack file and the archive of images are created and read
//! here too, without the engine.

mod absent;
pub mod archive;
mod facts;
mod images;
mod others;
mod services;
pub mod stack;
mod swarm;
mod waiting;
mod words;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::anyhow;
use bollard::{API_DEFAULT_VERSION, Docker};
use cmsg_config::socket::connect_at;

pub use absent::NoEngine;
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

use absent::{late, unreported};
use waiting::{Stopped, within};

/// The engine's socket, unless `DOCKER_HOST` names another one.
const SOCKET: &str = "/var/run/docker.sock";
/// Timeout of a query.
const ANSWER: Duration = Duration::from_secs(30);
/// Timeout of loading an image or leaving a swarm, in seconds.
const WORK_SECONDS: u64 = 600;

/// Name of the stack, as in the administrators' guide.
pub const STACK: &str = "pcoipcm";
/// Label of all objects that the installer creates. Other objects are never changed.
pub const LABEL: &str = "pcoip-cmsg.installed-by";
pub const LABEL_VALUE: &str = "pcoip-cmsg-setup";
/// Label with the digest of the layer of an image of this product.
pub const LAYER_LABEL: &str = "pcoip-cmsg.layer";
/// Label with the version of an image, as defined by the Open Container Initiative.
pub const VERSION_LABEL: &str = "org.opencontainers.image.version";

/// A connection to the engine of this host.
#[derive(Debug)]
pub struct Engine {
    runtime: tokio::runtime::Runtime,
    docker: Docker,
    /// In the format of `DOCKER_HOST`.
    address: String,
    /// Whether the operator wants the command to stop.
    is_interrupted: fn() -> bool,
}

impl Engine {
    /// Connects to the engine of `DOCKER_HOST`, or to that of the default socket, and negotiates a
    /// version of the API. Queries end early once `is_interrupted` says so.
    ///
    /// # Errors
    ///
    /// [`NoEngine`].
    pub fn connect(is_interrupted: fn() -> bool) -> Result<Self, NoEngine> {
        Self::connect_to(socket(std::env::var("DOCKER_HOST").ok())?, is_interrupted)
    }

    /// Connects to the engine at a socket.
    ///
    /// # Errors
    ///
    /// [`NoEngine`].
    pub fn at(socket: PathBuf) -> Result<Self, NoEngine> {
        Self::connect_to(socket, || false)
    }

    fn connect_to(socket: PathBuf, is_interrupted: fn() -> bool) -> Result<Self, NoEngine> {
        if let Err(error) = connect_at(&socket, Duration::ZERO) {
            return Err(NoEngine::of(&error, socket));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| NoEngine::unanswered(&error, &socket))?;
        let address = format!("unix://{}", socket.display());
        let docker = runtime.block_on(async {
            let docker = Docker::connect_with_unix(&address, WORK_SECONDS, API_DEFAULT_VERSION);
            let docker = docker.map_err(|error| NoEngine::said(&error, &socket))?;
            match within(ANSWER, is_interrupted, docker.negotiate_version()).await {
                Ok(docker) => docker.map_err(|error| NoEngine::said(&error, &socket)),
                Err(Stopped::TimedOut) => Err(NoEngine::late(socket)),
                Err(Stopped::Interrupted) => Err(NoEngine::Interrupted),
            }
        })?;
        Ok(Self { runtime, docker, address, is_interrupted })
    }

    /// The facts that the checks and the plan need.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn facts(&self) -> anyhow::Result<EngineFacts> {
        let socket = self.address.strip_prefix("unix://").unwrap_or_default();
        let facts = facts::read(&self.docker, Path::new(socket));
        match self.runtime.block_on(within(ANSWER, self.is_interrupted, facts)) {
            Ok(facts) => facts.map_err(|error| anyhow!(unreported(&error))),
            Err(Stopped::TimedOut) => Err(anyhow!("{}", late())),
            Err(Stopped::Interrupted) => Err(anyhow!("the command was interrupted")),
        }
    }
}

/// Whether the engine answered with an error, as opposed to not answering.
#[must_use]
pub fn has_answered(error: &anyhow::Error) -> bool {
    let engine = error.downcast_ref::<bollard::errors::Error>();
    matches!(engine, Some(bollard::errors::Error::DockerResponseServerError { .. }))
}

/// Whether Docker manages a swarm but its network layer does not know it. Docker 20.10 sometimes
/// gets into this state when a swarm is unlocked right after Docker has started. Only a restart of
/// Docker helps.
#[must_use]
pub fn is_detached(error: &anyhow::Error) -> bool {
    let engine = error.downcast_ref::<bollard::errors::Error>();
    matches!(
        engine,
        Some(bollard::errors::Error::DockerResponseServerError { status_code: 500, message })
            if message.starts_with("This node is not a swarm manager.")
    )
}

/// The same error, with a clear message instead of the client library's if the engine stopped
/// answering.
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

/// Treats "not found" as success.
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
    fn the_engine_of_another_host_is_refused() {
        assert_eq!(socket(None), Ok(PathBuf::from(SOCKET)));
        assert_eq!(socket(Some(String::new())), Ok(PathBuf::from(SOCKET)));
        assert_eq!(socket(Some("unix:///run/x".to_owned())), Ok(PathBuf::from("/run/x")));
        let host = "tcp://192.0.2.1:2375".to_owned();
        assert_eq!(socket(Some(host.clone())), Err(NoEngine::Elsewhere(host)));
    }

    #[test]
    fn a_network_layer_without_its_swarm_is_recognized() {
        use bollard::errors::Error;
        let refused = |status_code, message: &str| {
            let message = message.to_owned();
            anyhow::Error::from(Error::DockerResponseServerError { status_code, message })
                .context("creating the network `n`")
        };
        // The message of Docker 20.10.24. Workers, and managers without a majority, respond with 503.
        const SAID: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker \
                            swarm join\" to connect this node to swarm and try again.";

        assert!(is_detached(&refused(500, SAID)));
        assert!(!is_detached(&refused(503, SAID)));
        assert!(!is_detached(&refused(500, "no space left on device")));
    }

    #[test]
    fn an_engine_that_stops_answering_has_a_clear_error() {
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
