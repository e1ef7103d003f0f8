//! What a compose file lacks, in words.

use std::{fmt, path::PathBuf};

use super::ports::Protocol;

/// Something that a compose file lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The service that lacks it; none where it is the file.
    pub service: Option<String>,
    /// What is lacking.
    pub what: Lack,
}

/// What is lacking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// It is no compose file.
    Unreadable(String),
    /// It does not say of which version it is, which Docker 20.10 takes for the first.
    NoVersion,
    /// It is of a version that cannot be deployed.
    Version(String),
    /// It is of a version that Docker 20.10 does not know.
    NewVersion(String),
    /// A variable has no value, or is not written as one.
    Variable(String),
    /// It makes a network with the name of the one that the installer makes.
    NetworkName,
    /// There is no such service.
    NoService,
    /// There is a service for a role that is not to run.
    UnwantedService,
    /// It names no image.
    NoImage,
    /// Its image is the other role's.
    OtherRolesImage(String),
    /// Its image has a name that none of ours has.
    ForeignImage(String),
    /// It does not start the daemon with the role and its configuration.
    OtherCommand(String),
    /// Clients cannot reach it.
    NotPublished(u16, Protocol),
    /// Clients reach it through a network that hides their addresses.
    ThroughIngress(u16, Protocol),
    /// It does not see a folder.
    NoMount(PathBuf),
    /// It sees another folder in place of one.
    OtherSource {
        /// The folder that it should see.
        folder: PathBuf,
        /// The one that it sees there.
        source: PathBuf,
    },
    /// It cannot write to a folder.
    ReadOnly(PathBuf),
    /// It runs as somebody else.
    OtherUser(String),
    /// It drops what the kernel wants the daemon to have.
    NoCapability,
    /// Its health check wants a shell.
    ShellHealthcheck,
    /// It has not one task.
    Replicas(String),
    /// When it is changed, two of it want the same ports.
    StartFirst,
    /// It is not told which authorities the host trusts.
    NoAuthorities,
    /// It has something that is passed over.
    Ignored(String),
}

impl Problem {
    /// Whether it keeps the services from working.
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
            Self::Version(version) => write!(f, "is of version `{version}`, not of 3"),
            Self::NewVersion(version) => {
                write!(f, "is of version `{version}`, which docker 20.10 does not know")
            }
            Self::Variable(name) => write!(f, "names the variable `{name}`, which has no value"),
            Self::NetworkName => {
                write!(f, "makes the network `{}`, which the installer makes", super::NETWORK)
            }
            Self::NoService => f.write_str("is missing"),
            Self::UnwantedService => f.write_str("is for a role that is not installed"),
            Self::NoImage => f.write_str("names no `image`"),
            Self::OtherRolesImage(image) => write!(f, "has the other service's image `{image}`"),
            Self::ForeignImage(image) => {
                write!(f, "has an image that is not called as ours are: `{image}`")
            }
            Self::OtherCommand(wanted) => write!(f, "has not the command `{wanted}`"),
            Self::NotPublished(port, carried) => write!(
                f,
                "is neither in the network `host` nor publishes {port}/{carried} with `mode: host`"
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
            Self::OtherUser(user) => write!(f, "runs as `{user}`, whom our files do not belong to"),
            Self::NoCapability => f.write_str(
                "drops capabilities without `cap_add: [NET_BIND_SERVICE]`, and does not start",
            ),
            Self::ShellHealthcheck => {
                f.write_str("has a health check that wants a shell, which the image does not have")
            }
            Self::Replicas(count) => write!(f, "has {count} replicas, not one"),
            Self::StartFirst => {
                f.write_str("has `order: start-first`, but two of it want the same ports")
            }
            Self::NoAuthorities => {
                f.write_str("has no `SSL_CERT_FILE`, and trusts none of the host's authorities")
            }
            Self::Ignored(key) => write!(f, "has `{key}`, which `docker stack deploy` passes over"),
        }
    }
}
