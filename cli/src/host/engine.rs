//! The Docker engine as it is before anything is planned, and the images that are to run on it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use cmsg_config::{cause, socket::Role};
use cmsg_engine::{
    Engine, EngineFacts, NetworkFact, NoEngine,
    archive::{ArchivedImage, ImageArchive, Source},
    image_name,
    stack::NETWORK,
};
use ipnet::Ipv4Net;

use super::{beside, networks::Taken};
use crate::{files, installation::Runtime, interrupt::is_interrupted, runtime::units};

/// The archive's name, beside this program or where packages put it.
const ARCHIVE: &str = "pcoip-cmsg-images.tar";
const PACKAGED: &str = "/usr/share/pcoip-cmsg-setup";

/// Where the host looks names up. A container has these files as they were when it started.
const LOOKUPS: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

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
    There(Box<EngineFacts>),
}

/// What else deploying takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deploying {
    /// Whether there is a `docker` command.
    pub(crate) has_command: bool,
    /// The images of this version.
    pub(crate) images: Result<ImageArchive, String>,
    /// What a compose file may name, without what is for this program.
    pub(crate) environment: BTreeMap<String, String>,
    /// Whether systemd does not start the engine at boot.
    pub(crate) is_left_at_boot: bool,
}

impl EngineFact {
    /// Asks the engine, if the installation runs on one.
    pub(crate) fn read(runtime: Runtime) -> Self {
        if runtime != Runtime::Swarm {
            return Self::NotAsked;
        }
        match Engine::connect(is_interrupted) {
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
        let what = called(&network.name);
        let ranges = network.subnets.iter().filter_map(|range| range.parse::<Ipv4Net>().ok());
        ranges.map(|range| Taken { network: range.trunc(), what: what.clone() }).collect::<Vec<_>>()
    };
    others.flat_map(taken).collect()
}

/// What a network is called for people.
pub(crate) fn called(network: &str) -> String {
    format!("docker's network `{network}`")
}

impl Deploying {
    pub(crate) fn read() -> Self {
        let has_command = has_command();
        let images = archive().and_then(ImageArchive::read);
        let images = images.map_err(|why| cause::chain(why.as_ref()));
        let is_left_at_boot = units::is_engine_left_at_boot();
        Self { has_command, images, environment: environment(), is_left_at_boot }
    }
}

/// What the host's files say of names, as far as they can be read.
pub(super) fn lookups() -> String {
    let texts = LOOKUPS.iter().filter_map(|path| files::read(Path::new(path)).ok());
    texts.map(|text| entries(&String::from_utf8_lossy(text.bytes()))).collect()
}

/// The lines that mean something, with one space between words; programs that write such files like
/// to note in them when they did.
fn entries(text: &str) -> String {
    let meant = text.lines().map(|line| line.split(['#', ';']).next().unwrap_or_default());
    let words = meant.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

/// Passwords for this program are among what is for it.
fn environment() -> BTreeMap<String, String> {
    let variables = std::env::vars_os();
    let known = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    known.filter(|(name, _)| !name.starts_with("PCOIP_CMSG_")).collect()
}

/// Whether there is a `docker` command.
pub(crate) fn has_command() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join("docker").is_file())
}

/// Whether Docker is installed, does not run, and systemd could start it.
pub(crate) fn can_start() -> bool {
    let is_usual = std::env::var_os("DOCKER_HOST").is_none_or(|host| host.is_empty());
    let is_silent = || {
        matches!(Engine::connect(is_interrupted), Err(NoEngine::Absent(_) | NoEngine::Silent(_)))
    };
    is_usual && units::is_booted() && has_command() && is_silent()
}

/// Connects to the engine, also to undo what an interrupted command has done.
///
/// # Errors
///
/// Why there is none.
pub(crate) fn connect() -> anyhow::Result<Engine> {
    Engine::connect(|| false).map_err(|why| anyhow!(description(&why)))
}

/// Why there is no engine to speak to, in words.
pub(crate) fn description(why: &NoEngine) -> String {
    match why {
        NoEngine::Absent(socket) => {
            format!("Docker is not running: `{}` does not exist", socket.display())
        }
        NoEngine::Silent(socket) => {
            format!("Docker is not running: nothing listens on `{}`", socket.display())
        }
        NoEngine::Unresponsive(socket, why) => {
            format!("Docker does not answer at `{}`: {why}", socket.display())
        }
        NoEngine::Failing(why) => format!("Docker answers with an error: {why}"),
        NoEngine::Forbidden(socket) => {
            format!("this user may not access Docker at `{}`", socket.display())
        }
        NoEngine::Elsewhere(host) => {
            format!("`DOCKER_HOST` is `{host}`, which is not the Docker engine on this host")
        }
        NoEngine::Odd(socket, why) => {
            format!("the program that answers at `{}` is not Docker: {why}", socket.display())
        }
        NoEngine::Interrupted => "the command was interrupted".to_owned(),
    }
}

/// The images that a stack file names, as far as the engine still has them.
///
/// # Errors
///
/// Where it does not have them.
pub(crate) fn images_of(stack: &str, engine: &EngineFacts) -> Result<ImageArchive, String> {
    let find = |role: Role| {
        let found = engine.images.iter().find(|image| {
            let name = |tag: &String| tag.rsplit('/').next()?.split(':').next().map(str::to_owned);
            let is_of_role = |tag: &String| name(tag).as_deref() == Some(image_name(role));
            image.tags.iter().any(is_of_role) && stack.contains(&image.id)
        })?;
        let (tag, layer) = (found.tags.first()?.clone(), found.layer.clone()?);
        Some(ArchivedImage { role, tag, layer })
    };
    let images: Vec<_> = [Role::Cm, Role::Sg].into_iter().filter_map(find).collect();
    if images.is_empty() {
        return Err("Docker no longer has the images of the previous version".to_owned());
    }
    Ok(ImageArchive { source: Source::default(), bytes: 0, images })
}

/// Where the package's archive of the images lies.
///
/// # Errors
///
/// Where another user put one beside this program.
pub(crate) fn archive() -> anyhow::Result<PathBuf> {
    Ok(beside::find(ARCHIVE)?.unwrap_or_else(|| Path::new(PACKAGED).join(ARCHIVE)))
}

#[cfg(test)]
mod tests {
    use cmsg_engine::ImageFact;

    use super::*;

    #[test]
    fn only_entries_count_in_the_files_of_names() {
        let hosts = "# by cloud-init, Monday\n127.0.0.1\tlocalhost  # us\n\n10.0.0.1 broker\r\n";

        assert_eq!(entries(hosts), "127.0.0.1 localhost\n10.0.0.1 broker\n");
        assert_eq!(entries("; resolvconf\nnameserver 10.0.0.2"), "nameserver 10.0.0.2\n");
        assert_ne!(entries("10.0.0.1 broker"), entries("10.0.0.2 broker"));
        assert_ne!(entries("10.0.0.1 broker"), entries("10.0.0.1broker"));
    }

    #[test]
    fn a_stack_files_images_are_found_by_what_the_engine_calls_them() {
        let image = |name: &str, id: &str| ImageFact {
            id: format!("sha256:{id}"),
            tags: vec![format!("localhost:5000/pcoip-cmsg/{name}")],
            layer: Some("sha256:l".to_owned()),
        };
        let images = [image("pcoip-cm:1", "a"), image("sg:1", "b"), image("sg:2", "c")];
        let engine = EngineFacts { images: images.into(), ..EngineFacts::default() };
        let found = |stack: &str| {
            let images = images_of(stack, &engine)?.images.into_iter();
            Ok(images.map(|image| (image.role, image.tag)).collect::<Vec<_>>())
        };
        let named = |role, name: &str| (role, format!("localhost:5000/pcoip-cmsg/{name}"));

        assert_eq!(
            found("image: sha256:a\nimage: sha256:b\n"),
            Ok(vec![named(Role::Cm, "pcoip-cm:1"), named(Role::Sg, "sg:1")])
        );
        assert_eq!(found("image: sha256:c\n"), Ok(vec![named(Role::Sg, "sg:2")]));
        let gone = "Docker no longer has the images of the previous version".to_owned();
        assert_eq!(found("image: sha256:d\n"), Err::<Vec<_>, _>(gone));
    }
}
