//! The definition of a host name, for all crates. A name that URL parsers read as an IPv4 address
//! (`127.1`, `2130706433`, `0x7f000001`) is not a host name: it would resolve to an address that
//! the administrator did not intend.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A host name as in certificates: not an IP address, in lower case, without a final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hostname(Box<str>);

/// The error of an invalid host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a host name has labels of letters, digits, `-` and `_`, the last one not a number, and 253 \
     characters at most"
)]
pub struct BadHostname;

/// Longest DNS name (RFC 1035, section 2.3.4).
const MAX_BYTES: usize = 253;

/// Longest DNS label (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

impl Hostname {
    /// The name in lower case, without a final dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Hostname {
    type Err = BadHostname;

    fn from_str(text: &str) -> Result<Self, BadHostname> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_address = name.rsplit('.').next().is_none_or(is_number);
        let fits = name.len() <= MAX_BYTES && !is_address && name.split('.').all(is_label);
        if fits { Ok(Self(name.to_ascii_lowercase().into())) } else { Err(BadHostname) }
    }
}

/// Whether a name with this last label is an IPv4 address, valid or not (WHATWG URL, "ends in a
/// number").
fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
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
    fn names_are_equal_in_any_case_and_with_a_final_dot() {
        for text in ["desk-1.corp.example", "Desk-1.CORP.example", "desk-1.corp.example."] {
            assert_eq!(text.parse::<Hostname>().unwrap().as_str(), "desk-1.corp.example");
        }
    }

    #[test]
    fn names_that_no_certificate_can_have_are_refused() {
        let long = "a".repeat(64);
        let longer = "a.".repeat(127) + "a";
        for text in ["", ".", "10.0.0.5", "2001:db8::5", "a..b", "-a", "a-", "a b", &long, &longer]
        {
            assert_eq!(text.parse::<Hostname>(), Err(BadHostname), "{text}");
        }
    }

    #[test]
    fn names_that_url_parsers_read_as_an_address_are_refused() {
        for text in ["2130706433", "127.1", "127.1.", "0x7f000001", "desk.0X7F", "0x", "a.017"] {
            assert_eq!(text.parse::<Hostname>(), Err(BadHostname), "{text}");
        }
        for text in ["0x7g", "desk-1", "1.desk", "7f", "x0"] {
            assert!(text.parse::<Hostname>().is_ok(), "{text}");
        }
    }
}
