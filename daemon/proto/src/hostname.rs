//! The name of an agent's host, for which its certificate has to stand.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A host name as certificates have them: no address, lower case, no dot at the end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(Box<str>);

/// Why a text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host name has labels of letters, digits, `-` and `_`, and 253 characters at most")]
pub struct BadHostname;

/// DNS has no longer name.
const MAX_BYTES: usize = 253;

/// Nor a longer part between two dots.
const MAX_LABEL: usize = 63;

impl Hostname {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = BadHostname;

    fn from_str(text: &str) -> Result<Self, BadHostname> {
        let name = text.strip_suffix('.').unwrap_or(text);
        // What ends in a number is an IPv4 address, perhaps a wrong one.
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
        let fits = name.len() <= MAX_BYTES && !is_address && name.split('.').all(is_label);
        if fits { Ok(Self(name.to_ascii_lowercase().into())) } else { Err(BadHostname) }
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

impl TryFrom<String> for Hostname {
    type Error = BadHostname;

    fn try_from(text: String) -> Result<Self, BadHostname> {
        text.parse()
    }
}

impl From<Hostname> for String {
    fn from(name: Hostname) -> Self {
        name.0.into()
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_either_case_and_with_a_dot_at_the_end() {
        for text in ["desk-1.corp.example", "Desk-1.CORP.example", "desk-1.corp.example."] {
            assert_eq!(text.parse::<Hostname>().unwrap().as_str(), "desk-1.corp.example");
        }
    }

    #[test]
    fn what_no_certificate_stands_for_is_no_host_name() {
        let long = "a".repeat(64);
        let longer = "a.".repeat(127) + "a";
        for text in ["", ".", "10.0.0.5", "2001:db8::5", "a..b", "-a", "a-", "a b", &long, &longer]
        {
            assert_eq!(text.parse::<Hostname>(), Err(BadHostname), "{text}");
        }
    }
}
