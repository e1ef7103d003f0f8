//! The session log id, which client, broker, agent and both services share, and the key that
//! identifies a session at gateways.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A session log id: the form of a UUID, in upper or lower case, exactly as received.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

/// The error of an invalid session log id.
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

/// The Connection Manager's id of a session at gateways: 128 random bits, written as 32 hexadecimal
/// digits. Unlike the session log id, it is not chosen by the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionKey([u8; 16]);

/// The error of an invalid session key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session key has 32 hexadecimal digits")]
pub struct BadSessionKey;

impl SessionKey {
    /// A key from random bytes.
    #[must_use]
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl FromStr for SessionKey {
    type Err = BadSessionKey;

    fn from_str(text: &str) -> Result<Self, BadSessionKey> {
        let is_key = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_key);
        number.map(|number| Self(number.to_be_bytes())).ok_or(BadSessionKey)
    }
}

impl TryFrom<String> for SessionKey {
    type Error = BadSessionKey;

    fn try_from(text: String) -> Result<Self, BadSessionKey> {
        text.parse()
    }
}

impl From<SessionKey> for String {
    fn from(key: SessionKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_parsed_as_it_is_printed() {
        let key = SessionKey::from_random([0x0a; 16]);

        assert_eq!(key.to_string(), "0a".repeat(16));
        assert_eq!(key.to_string().parse(), Ok(key));
        for text in ["", "0a", &"0a".repeat(17), &format!("+{}", "a".repeat(31)), &"0g".repeat(16)]
        {
            assert_eq!(text.parse::<SessionKey>(), Err(BadSessionKey), "{text}");
        }
    }

    #[test]
    fn upper_and_lower_case_are_preserved() {
        for text in ["0b1c2d3e-0000-4000-8000-00000000000a", "0B1C2D3E-0000-4000-8000-00000000000A"]
        {
            assert_eq!(text.parse::<SessionId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn other_formats_are_refused() {
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
