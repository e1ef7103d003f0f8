//! The types of values. Each parses from text in a file or on the command line, prints as the same
//! text, and only holds valid values.

use std::{fmt, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

mod gateways;
mod networks;
mod peers;
mod texts;

pub use gateways::{ForGateway, GatewayName, GatewayPin};
pub use networks::Network;
pub use peers::{BrokerUrl, Host, HostPort, Pin};
pub use texts::{Domain, HttpsUrl, Name};

/// The error of all values in this module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}")]
pub struct BadValue {
    /// The text that could not be parsed.
    pub text: String,
    /// The expected format, as it follows "is not".
    pub wanted: &'static str,
}

pub(crate) fn bad<T>(text: &str, wanted: &'static str) -> Result<T, BadValue> {
    Err(BadValue { text: text.chars().take(80).collect(), wanted })
}

/// A boolean, written `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" => Ok(Self(true)),
            "false" | "off" | "no" => Ok(Self(false)),
            _ => bad(text, "`true` or `false`"),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The lowest level of messages that are logged (`docs/logs.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything, including the XML of each request and response.
    Trace,
    /// Also refused connections, with addresses and user names.
    Debug,
    /// Significant events, such as the start and end of sessions.
    Info,
    /// Problems that an administrator may have to fix.
    Warn,
    /// Failures after which the role stops.
    Error,
}

impl LogLevel {
    /// The level's name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl FromStr for LogLevel {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Ok(Self::Trace),
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            _ => bad(text, "one of TRACE, DEBUG, INFO, WARN, ERROR"),
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_str().to_ascii_uppercase())
    }
}

/// A number of seconds, from 1 to 86,400 (one day).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(NonZeroU32);

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Self::from_secs(seconds.0.get().into())
    }
}

impl FromStr for Seconds {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.parse::<NonZeroU32>() {
            Ok(seconds) if seconds.get() <= 86_400 => Ok(Self(seconds)),
            _ => bad(text, "a number of seconds from 1 to 86400"),
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The value of `MaxConnections`, from 1 to 100,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionLimit(NonZeroU32);

impl ConnectionLimit {
    /// The largest value.
    pub const MAX: u32 = 100_000;

    /// The number as `usize`.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0.get()).unwrap_or(usize::MAX)
    }
}

impl FromStr for ConnectionLimit {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.parse::<NonZeroU32>() {
            Ok(limit) if limit.get() <= Self::MAX => Ok(Self(limit)),
            _ => bad(text, "a number from 1 to 100000"),
        }
    }
}

impl fmt::Display for ConnectionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A TCP or UDP port on which a peer listens, so not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(pub u16);

impl FromStr for Port {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.parse() {
            Ok(port) if port != 0 => Ok(Self(port)),
            _ => bad(text, "a port from 1 to 65535"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A path that begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsolutePath(pub PathBuf);

impl FromStr for AbsolutePath {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let path = PathBuf::from(text);
        if path.is_absolute() { Ok(Self(path)) } else { bad(text, "an absolute path") }
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds() {
        assert!("0".parse::<ConnectionLimit>().is_err());
        assert!("100001".parse::<ConnectionLimit>().is_err());
        assert_eq!("5000".parse::<ConnectionLimit>().unwrap().as_usize(), 5000);
        assert!("0".parse::<Seconds>().is_err());
    }
}
