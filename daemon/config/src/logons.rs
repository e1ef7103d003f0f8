//! The keys of failed log-ons, and their values.

use std::{fmt, str::FromStr};

use crate::{
    keys::Key,
    values::{BadValue, bad},
};

pub(crate) const LOGON_FAILURES: Key = Key::new(
    "LogonFailures",
    "10",
    "0 to 100",
    "failed log-ons within ten minutes after which a user is banned from a client's address; 0 \
     disables bans and the delay of further attempts",
)
.reloading();
pub(crate) const LOGON_BAN_SECONDS: Key =
    Key::new("LogonBanSeconds", "900", "seconds", "duration of such a ban").reloading();

/// The value of `LogonFailures`, from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimit(u8);

impl FailureLimit {
    /// The number as `usize`.
    #[must_use]
    pub fn as_usize(self) -> usize {
        self.0.into()
    }
}

impl FromStr for FailureLimit {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.parse() {
            Ok(limit) if limit <= 100 => Ok(Self(limit)),
            _ => bad(text, "a number from 0 to 100"),
        }
    }
}

impl fmt::Display for FailureLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_has_bounds() {
        assert_eq!("0".parse::<FailureLimit>().unwrap().as_usize(), 0);
        assert_eq!("100".parse::<FailureLimit>().unwrap().to_string(), "100");
        for text in ["101", "256", "-1", ""] {
            assert!(text.parse::<FailureLimit>().is_err(), "{text}");
        }
    }
}
