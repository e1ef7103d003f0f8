//! What Docker is to run, and where it comes from.

use std::{fmt, path::PathBuf, str::FromStr};

use cmsg_config::values::{BadValue, Host, HostPort, Name};

use super::need;
use crate::wanted::{Reader, values::bad};

/// What is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Docker {
    /// A compose file of the operator's own.
    pub(crate) compose_file: Option<PathBuf>,
    /// A bundle for hosts without a network.
    pub(crate) bundle: Option<PathBuf>,
}

impl Docker {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let _: Option<Registry> = reader.one("docker-registry");
        let _: Option<Name> = reader.one("docker-username");
        for (given, other) in
            [("docker-username", "docker-password"), ("docker-password", "docker-username")]
        {
            if !reader.is_empty(given) {
                need(reader, format_args!("`--{given}`"), &[other]);
            }
        }
        Self {
            compose_file: reader.path("compose-file"),
            bundle: reader.path("darksite-bundle-path"),
        }
    }
}

/// Where images come from: `HOST[:PORT][/PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Registry(String);

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

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
}
