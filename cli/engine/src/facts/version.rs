//! The three numbers of an engine's version.

use std::fmt;

/// A version of the engine, without what a distribution adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third; 0 where there is none.
    pub patch: u32,
}

impl Version {
    /// Reads a version such as `20.10.24+dfsg1`; none where it does not begin with two numbers.
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
    fn what_distributions_add_is_no_part_of_the_number() {
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
