//! The version number of an engine.

use std::fmt;

/// A version number, without the suffix of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
    /// 0 if it is missing.
    pub patch: u32,
}

impl Version {
    /// Parses a version such as `20.10.24+dfsg1`; `None` if it does not begin with two numbers.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let mut numbers = text[..end].split('.').map(|number| number.parse().ok());
        let (major, minor) = (numbers.next()??, numbers.next()??);
        Some(Self { major, minor, patch: numbers.next().flatten().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_of_a_distribution_is_ignored() {
        for (text, expected) in [
            ("20.10.24+dfsg1", Some("20.10.24")),
            ("28.1.1-rd", Some("28.1.1")),
            ("24.0.0-rc.1", Some("24.0.0")),
            ("27.4", Some("27.4.0")),
            ("master", None),
            ("20", None),
            ("99999999999.1", None),
            ("", None),
        ] {
            let said = Version::parse(text).map(|version| version.to_string());
            assert_eq!(said.as_deref(), expected, "{text}");
        }
        assert!(Version::parse("20.9.9") < Version::parse("20.10.0"));
    }
}
