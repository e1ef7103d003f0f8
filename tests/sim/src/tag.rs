//! Session tags, which an agent issues and a client sends.

use std::fmt;

use thiserror::Error;

use crate::random;

/// A session tag, whose `Debug` output is masked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

/// What is wrong with a session tag.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TagError {
    /// It does not begin as every tag does.
    #[error("session tag does not start with `SCS1`")]
    Prefix,
    /// It is longer than a `ctag` chunk allows.
    #[error("session tag has {0} characters, not 5 to 127")]
    Length(usize),
    /// It has a character outside the base64 alphabet.
    #[error("session tag has a character outside the base64 alphabet")]
    Alphabet,
}

impl Tag {
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let rest = text.strip_prefix(PREFIX).ok_or(TagError::Prefix)?;
        if rest.is_empty() || text.len() > MAX_LENGTH {
            return Err(TagError::Length(text.len()));
        }
        if !rest.trim_end_matches('=').bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(TagError::Alphabet);
        }
        Ok(Self(text.to_owned()))
    }

    /// Creates a random tag with characters that a careless parser would misread.
    pub fn random() -> Self {
        loop {
            let bytes = random::bytes(RANDOM_LENGTH);
            let tail: String =
                bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)])).collect();
            if tail.contains('+') && tail.contains('/') {
                return Self(format!("{PREFIX}{tail}"));
            }
        }
    }

    /// Returns the tag as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tag(SCS1****)")
    }
}

const PREFIX: &str = "SCS1";
const RANDOM_LENGTH: usize = 112;
/// The longest `ctag` chunk.
const MAX_LENGTH: usize = 127;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_tag_is_long_and_has_the_characters_that_need_care() {
        let tag = Tag::random();

        assert_eq!(tag.as_str().len(), 116);
        assert!(tag.as_str().contains('+') && tag.as_str().contains('/'));
        assert_eq!(Tag::parse(tag.as_str()), Ok(tag));
    }

    #[test]
    fn a_tag_that_no_agent_makes_is_refused() {
        let long = format!("SCS1{}", "A".repeat(124));
        let table = [
            ("", TagError::Prefix),
            ("scs1AAAA", TagError::Prefix),
            ("SCS1", TagError::Length(4)),
            (long.as_str(), TagError::Length(128)),
            ("SCS1AA AA", TagError::Alphabet),
            ("SCS1AA=A", TagError::Alphabet),
        ];

        for (text, error) in table {
            assert_eq!(Tag::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_tag_is_not_shown() {
        assert_eq!(format!("{:?}", Tag::random()), "Tag(SCS1****)");
    }
}
