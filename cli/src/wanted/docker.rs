//! What Docker is to run, and where it comes from.

use std::{path::PathBuf, str::FromStr};

use cmsg_config::values::{BadValue, Host, HostPort, Name};

use super::{Given, Reader, later::need, values::bad};
use crate::{answers::Answers, args::settings::Setting, finding::Finding, installation::Runtime};

/// What is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Docker {
    /// A compose file of the operator's own.
    pub(crate) compose_file: Option<Given>,
    /// Where images come from, if not out of an archive beside this program.
    pub(crate) registry: Option<Registry>,
    /// The user who asks there.
    pub(crate) user: Option<Name>,
    /// The bundle to install from, where there is no network.
    pub(crate) bundle: Option<PathBuf>,
}

impl Docker {
    /// Reads it where nothing else is wanted, with what is wrong with it.
    pub(crate) fn alone(answers: &Answers) -> (Self, Vec<Finding>) {
        let mut reader = Reader::new(answers);
        if !reader.is_empty(Setting::DockerUsername) {
            need(&mut reader, Setting::DockerUsername, &[Setting::DockerRegistry]);
        }
        let docker = Self::read(&mut reader, Runtime::Swarm);
        (docker, reader.finish())
    }

    /// Nothing of it is used on the host itself, so nothing is missing there.
    pub(super) fn read(reader: &mut Reader<'_>, runtime: Runtime) -> Self {
        for (given, other) in [
            (Setting::DockerUsername, Setting::DockerPassword),
            (Setting::DockerPassword, Setting::DockerUsername),
        ] {
            if runtime == Runtime::Swarm && !reader.is_empty(given) {
                need(reader, given, &[other]);
            }
        }
        Self {
            compose_file: reader.given(Setting::ComposeFile),
            registry: reader.one(Setting::DockerRegistry),
            user: reader.one(Setting::DockerUsername),
            bundle: reader.path(Setting::DarksiteBundlePath),
        }
    }
}

/// Where images come from: `HOST[:PORT][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registry(String);

impl Registry {
    /// As images are named by it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn peer(&self) -> Option<HostPort> {
        let host = self.0.split('/').next().unwrap_or_default();
        host.parse().or_else(|_| format!("{host}:443").parse()).ok()
    }
}

impl FromStr for Registry {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (host, path) = text.split_once('/').map_or((text, None), |(h, p)| (h, Some(p)));
        let is_host = host.parse::<HostPort>().is_ok() || host.parse::<Host>().is_ok();
        let is_part = |part: &str| {
            let is_plain =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
            !part.is_empty() && part.chars().all(is_plain)
        };
        if is_host && path.is_none_or(|path| path.split('/').all(is_part)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(bad(text, "a registry of the form `HOST[:PORT][/PATH]`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_with_port_and_path() {
        let table = [
            ("docker.cloudsmith.io/teradici/cas-connector", true),
            ("registry.example:5000", true),
            ("192.0.2.1:5000/pcoip", true),
            ("https://registry.example", false),
            ("registry.example:port", false),
            ("registry.example/", false),
            ("registry.example/Upper", false),
            ("a b", false),
        ];
        for (text, is_registry) in table {
            assert_eq!(text.parse::<Registry>().is_ok(), is_registry, "{text}");
        }
    }

    #[test]
    fn a_registry_listens_on_443_unless_its_name_has_a_port() {
        for (text, at) in [
            ("registry.example/team", "registry.example:443"),
            ("registry.example:5000/team", "registry.example:5000"),
        ] {
            let registry: Registry = text.parse().unwrap();

            assert_eq!(registry.peer().unwrap().to_string(), at);
        }
    }
}
