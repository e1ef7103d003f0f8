//! What runs the services.

use std::{fmt, str::FromStr};

use cmsg_config::values::BadValue;
use serde::{Deserialize, Serialize};

/// What runs the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Runtime {
    Swarm,
    #[default]
    Host,
}

impl FromStr for Runtime {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "swarm" => Ok(Self::Swarm),
            "host" => Ok(Self::Host),
            _ => Err(BadValue { text: text.to_owned(), wanted: "`swarm` or `host`" }),
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Swarm => "swarm",
            Self::Host => "host",
        })
    }
}
