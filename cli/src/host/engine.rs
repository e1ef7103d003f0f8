//! The Docker engine as it is before anything is planned, and the images that are to run on it.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use cmsg_engine::{
    Engine, EngineFacts, NetworkFact, NoEngine, archive::ImageArchive, stack::NETWORK,
};
use ipnet::Ipv4Net;

use super::networks::Taken;
use crate::runtime::Runtime;

/// The archive's name, beside this program or where packages put it.
const ARCHIVE: &str = "pcoip-cmsg-images.tar";
const PACKAGED: &str = "/usr/share/pcoip-cmsg-setup";

/// The engine, where the roles are to run on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum EngineFact {
    /// It has no part in the installation.
    #[default]
    NotAsked,
    /// There is none to speak to.
    None(NoEngine),
    /// It does not say how it is.
    Silent(String),
    /// It is so.
    There(Box<EngineFacts>),
}

/// What else deploying takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deploying {
    /// Whether there is a `docker` command.
    pub(crate) has_command: bool,
    /// The images of this version.
    pub(crate) images: Result<ImageArchive, String>,
}

impl EngineFact {
    /// Asks the engine, if the installation runs on one.
    pub(crate) fn read(runtime: Runtime) -> Self {
        if runtime != Runtime::Swarm {
            return Self::NotAsked;
        }
        match Engine::connect() {
            Err(why) => Self::None(why),
            Ok(engine) => match engine.facts() {
                Ok(facts) => Self::There(Box::new(facts)),
                Err(why) => Self::Silent(format!("{why:#}")),
            },
        }
    }

    /// What it says of itself, if it does.
    pub(crate) fn facts(&self) -> Option<&EngineFacts> {
        match self {
            Self::There(facts) => Some(facts),
            _ => None,
        }
    }
}

/// The engine's networks but the stack's own.
pub(super) fn networks(engine: &EngineFact) -> Vec<Taken> {
    let networks = engine.facts().map_or(&[][..], |facts| &facts.networks).iter();
    let others = networks.filter(|network| !(network.is_ours && network.name == NETWORK));
    let taken = |network: &NetworkFact| {
        let what = format!("docker's network `{}`", network.name);
        let ranges = network.subnets.iter().filter_map(|range| range.parse::<Ipv4Net>().ok());
        ranges.map(|range| Taken { network: range.trunc(), what: what.clone() }).collect::<Vec<_>>()
    };
    others.flat_map(taken).collect()
}

impl Deploying {
    /// Looks for it.
    pub(crate) fn read() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has_command = std::env::split_paths(&path).any(|dir| dir.join("docker").is_file());
        let archive = archive();
        let images = ImageArchive::read(&archive).map_err(|why| format!("{why:#}"));
        Self { has_command, images }
    }
}

/// Connects to the engine.
///
/// # Errors
///
/// Why there is none.
pub(crate) fn connect() -> anyhow::Result<Engine> {
    Engine::connect().map_err(|why| anyhow!(told(&why)))
}

/// Why there is no engine to speak to, in words.
pub(crate) fn told(why: &NoEngine) -> String {
    match why {
        NoEngine::Absent(socket) => {
            format!("there is no docker engine: `{}` does not exist", socket.display())
        }
        NoEngine::Silent(socket) => {
            format!("the docker engine does not answer at `{}`", socket.display())
        }
        NoEngine::Forbidden(socket) => {
            format!("this user may not speak to the docker engine at `{}`", socket.display())
        }
        NoEngine::Elsewhere(host) => {
            format!("`DOCKER_HOST` names `{host}`, which is not this host's docker engine")
        }
        NoEngine::Odd(why) => format!("what answers is no docker engine: {why}"),
    }
}

fn archive() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(ARCHIVE));
    let beside = beside.filter(|path| path.exists());
    beside.unwrap_or_else(|| Path::new(PACKAGED).join(ARCHIVE))
}
