//! The session log id, the same at client, broker, agent and both services.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A session log id: the shape of a UUID, upper or lower case, kept as received.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// Why a text is no session log id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session log id has the shape of a UUID")]
pub struct BadSessionId;

impl SessionId {
    /// The id as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = BadSessionId;

    fn from_str(text: &str) -> Result<Self, BadSessionId> {
        let dashes = [8, 13, 18, 23];
        let fits = text.len() == 36
            && text.bytes().enumerate().all(|(place, byte)| {
                if dashes.contains(&place) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            });
        if fits { Ok(Self(text.to_owned())) } else { Err(BadSessionId) }
    }
}

impl TryFrom<String> for SessionId {
    type Error = BadSessionId;

    fn try_from(text: String) -> Result<Self, BadSessionId> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_kept_as_received() {
        for text in ["0b1c2d3e-0000-4000-8000-00000000000a", "0B1C2D3E-0000-4000-8000-00000000000A"]
        {
            assert_eq!(text.parse::<SessionId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "0b1c2d3e",
            "0b1c2d3e-0000-4000-8000-00000000000g",
            "0b1c2d3e00004000800000000000000a....",
        ] {
            assert_eq!(text.parse::<SessionId>(), Err(BadSessionId), "{text}");
        }
    }
}
