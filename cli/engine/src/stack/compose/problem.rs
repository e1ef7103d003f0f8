//! The problems of a compose file, as text.

use std::{fmt, path::PathBuf};

use super::ports::Protocol;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The affected service; `None` for the whole file.
    pub service: Option<String>,
    pub what: Lack,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// It cannot be parsed as a compose file.
    Unreadable(String),
    /// It has no version, which Docker 20.10 treats as version 1.
    NoVersion,
    /// Its version cannot be deployed.
    Version(String),
    /// Its version is not supported by Docker 20.10.
    NewVersion(String),
    /// A variable has no value, or is malformed.
    Variable(String),
    /// It defines a network with the name of the one that the installer creates.
    NetworkName,
    /// The service is missing.
    NoService,
    /// The service is for a role that is not installed.
    UnwantedService,
    /// It has no image.
    NoImage,
    /// It has the image of the other role.
    OtherRolesImage(String),
    /// Its image does not have the name of one of ours.
    ForeignImage(String),
    /// Its command does not start the daemon with the role and its configuration.
    OtherCommand(String),
    /// Clients cannot reach it.
    NotPublished(u16, Protocol),
    /// Clients connect through a network that hides their addresses.
    ThroughIngress(u16, Protocol),
    /// It does not mount a directory.
    NoMount(PathBuf),
    /// It mounts another directory in place of the required one.
    OtherSource {
        /// The required directory.
        folder: PathBuf,
        /// The mounted directory.
        source: PathBuf,
    },
    /// It cannot write to a directory.
    ReadOnly(PathBuf),
    /// It runs as another user.
    OtherUser(String),
    /// It drops a capability that the daemon needs.
    NoCapability,
    /// Its health check requires a shell.
    ShellHealthcheck,
    /// It does not have exactly one task.
    Replicas(String),
    /// During an update, two of its tasks would use the same ports.
    StartFirst,
    /// `SSL_CERT_FILE` is missing, so it trusts no CA of the host.
    NoAuthorities,
    /// A key has no effect.
    Ignored(String),
}

impl Problem {
    /// Whether it prevents the services from working.
    pub fn is_error(&self) -> bool {
        !matches!(
            self.what,
            Lack::NewVersion(_)
                | Lack::UnwantedService
                | Lack::ForeignImage(_)
                | Lack::OtherUser(_)
                | Lack::StartFirst
                | Lack::NoAuthorities
                | Lack::Ignored(_)
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "the service `{service}` {}", self.what),
            None => write!(f, "the compose file {}", self.what),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "cannot be read: {why}"),
            Self::NoVersion => f.write_str("has no `version`, e.g. `version: \"3.8\"`"),
            Self::Version(version) => write!(f, "has version `{version}`, not 3"),
            Self::NewVersion(version) => {
                write!(f, "has version `{version}`, which Docker 20.10 does not support")
            }
            Self::Variable(name) => write!(f, "uses the variable `{name}`, which has no value"),
            Self::NetworkName => {
                write!(f, "creates the network `{}`, which the installer creates", super::NETWORK)
            }
            Self::NoService => f.write_str("is missing"),
            Self::UnwantedService => f.write_str("is for a role that is not installed"),
            Self::NoImage => f.write_str("has no `image`"),
            Self::OtherRolesImage(image) => write!(f, "has the other service's image `{image}`"),
            Self::ForeignImage(image) => {
                write!(f, "has an image whose name is not the product's: `{image}`")
            }
            Self::OtherCommand(wanted) => write!(f, "does not run the command `{wanted}`"),
            Self::NotPublished(port, carried) => write!(
                f,
                "is neither attached to the network `host` nor publishes {port}/{carried} with `mode: host`"
            ),
            Self::ThroughIngress(port, carried) => write!(
                f,
                "publishes {port}/{carried} without `mode: host`, which hides clients' addresses"
            ),
            Self::NoMount(folder) => write!(f, "does not mount `{}`", folder.display()),
            Self::OtherSource { folder, source } => {
                write!(f, "mounts `{}` in place of `{}`", source.display(), folder.display())
            }
            Self::ReadOnly(folder) => write!(f, "cannot write to `{}`", folder.display()),
            Self::OtherUser(user) => {
                write!(f, "runs as `{user}`, who does not own the installed files")
            }
            Self::NoCapability => f.write_str(
                "drops capabilities without `cap_add: [NET_BIND_SERVICE]`, so it cannot start",
            ),
            Self::ShellHealthcheck => {
                f.write_str("has a health check that needs a shell, which the image does not have")
            }
            Self::Replicas(count) => write!(f, "has {count} replicas, not one"),
            Self::StartFirst => {
                f.write_str("has `order: start-first`, but two instances need the same ports")
            }
            Self::NoAuthorities => {
                f.write_str("has no `SSL_CERT_FILE`, so it trusts none of the host's authorities")
            }
            Self::Ignored(key) => write!(f, "has `{key}`, which `docker stack deploy` ignores"),
        }
    }
}
