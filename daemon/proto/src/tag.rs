//! The session tag, which the client sends to the gateway and the gateway to the agent. It is a
//! credential: it is never printed, and the gateway only stores its digest.

use std::{fmt, str::FromStr};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A session tag as the agent issued it: 1 to 4096 printable ASCII characters other than space.
#[derive(Debug, Clone)]
pub struct SessionTag(SecretString);

/// The error of an invalid session tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session tag has 1 to {} printable characters", SessionTag::MAX_BYTES)]
pub struct BadTag;

impl SessionTag {
    /// Maximum length in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// The first characters of all known tags.
    pub const PREFIX: &'static str = "SCS1";

    /// Parses a tag.
    ///
    /// # Errors
    ///
    /// [`BadTag`] if the text is empty, too long, or has other than printable ASCII characters.
    pub fn parse(text: &str) -> Result<Self, BadTag> {
        let printable = text.bytes().all(|b| b.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::MAX_BYTES || !printable {
            return Err(BadTag);
        }
        Ok(Self(text.into()))
    }

    /// The tag itself, for a peer. Do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The digest that the gateway stores.
    #[must_use]
    pub fn digest(&self) -> TagDigest {
        TagDigest::of(self.expose().as_bytes())
    }

    /// The tag for the log: `SCS1****`, and the last twelve characters if it is long enough.
    #[must_use]
    pub fn masked(&self) -> String {
        mask(self.expose())
    }
}

/// The text of a tag for the log. Text that is not a tag is masked completely.
#[must_use]
pub fn mask(tag: &str) -> String {
    let printable = tag.bytes().all(|b| b.is_ascii_graphic());
    match tag.get(tag.len().wrapping_sub(12)..) {
        Some(end) if printable && tag.len() >= 64 && tag.starts_with(SessionTag::PREFIX) => {
            format!("{}****{end}", SessionTag::PREFIX)
        }
        _ => "****".to_owned(),
    }
}

/// SHA-256 and length of a session tag. Printed as `LENGTH:HEX`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagDigest {
    /// Length of the tag in bytes.
    pub length: usize,
    /// SHA-256 of the tag.
    pub sha256: [u8; 32],
}

/// SHA-256 of a secret. The hash function leaves copies of the last block, which may be the whole
/// secret, on the stack, so they are cleared afterwards.
pub(crate) fn digest(secret: &[u8]) -> [u8; 32] {
    let digest = hash(secret);
    clear_stack();
    digest
}

#[inline(never)]
fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Clears the part of the stack that [`hash`] used: its frames begin where those of this function
/// do.
#[inline(never)]
fn clear_stack() {
    // The zeros must be written, since their address leaves the function. A reference to the array
    // itself would be one to a constant.
    let mut frames = [0_u8; FRAMES];
    std::hint::black_box(&mut frames);
}

/// Several times the stack that hashing uses, in bytes. It uses more without optimization.
const FRAMES: usize = if cfg!(debug_assertions) { 64 * 1024 } else { 8 * 1024 };

impl TagDigest {
    /// The digest of a tag.
    #[must_use]
    pub fn of(tag: &[u8]) -> Self {
        Self { length: tag.len(), sha256: digest(tag) }
    }

    /// The SHA-256 in hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
        self.sha256.iter().flat_map(digits).map(char::from).collect()
    }
}

/// The error of an invalid digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag's digest is its length, a colon and 64 hexadecimal digits")]
pub struct BadDigest;

impl FromStr for TagDigest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let (length, hex) = text.split_once(':').ok_or(BadDigest)?;
        let length = length.parse().map_err(|_| BadDigest)?;
        let possible = (1..=SessionTag::MAX_BYTES).contains(&length);
        if !possible || hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadDigest);
        }
        let mut sha256 = [0; 32];
        for (place, byte) in sha256.iter_mut().enumerate() {
            let digits = &hex[2 * place..2 * place + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| BadDigest)?;
        }
        Ok(Self { length, sha256 })
    }
}

impl TryFrom<String> for TagDigest {
    type Error = BadDigest;

    fn try_from(text: String) -> Result<Self, BadDigest> {
        text.parse()
    }
}

impl From<TagDigest> for String {
    fn from(digest: TagDigest) -> Self {
        format!("{}:{}", digest.length, digest.hex())
    }
}

impl fmt::Debug for TagDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagDigest({}:{}…)", self.length, &self.hex()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_never_printed() {
        let tag = SessionTag::parse("SCS1secretsecret").unwrap();

        assert!(!format!("{tag:?}").contains("secret"));
        assert_eq!(tag.masked(), "****");
    }

    #[test]
    fn a_masked_tag_only_shows_its_ends() {
        let tag = SessionTag::parse(&format!("SCS1{}ABCDEFGHIJKL", "x".repeat(80))).unwrap();

        assert_eq!(tag.masked(), "SCS1****ABCDEFGHIJKL");
    }

    #[test]
    fn a_digest_is_parsed_as_it_is_printed() {
        let digest = TagDigest::of(b"abc");

        let text = String::from(digest);

        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(text, format!("3:{hex}"));
        assert_eq!(text.parse(), Ok(digest));
        let (short, wide) = (&hex[1..], format!("é{}", &hex[2..]));
        for text in [hex, &format!("0:{hex}"), &format!("4097:{hex}"), &format!("-1:{hex}")] {
            assert_eq!(text.parse::<TagDigest>(), Err(BadDigest), "{text}");
        }
        for text in ["", "3:", &format!("3:{short}"), &format!("3:+{short}"), &format!("3:{wide}")]
        {
            assert_eq!(text.parse::<TagDigest>(), Err(BadDigest), "{text}");
        }
    }

    #[test]
    fn an_invalid_tag_is_refused() {
        for text in ["", "SCS1 x", "SCS1\n", "SCS1é", &"x".repeat(4097)] {
            assert_eq!(SessionTag::parse(text).err(), Some(BadTag), "{text}");
        }
    }
}
