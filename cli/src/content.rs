//! The content of a file. It may be a key, so it is not shown and does not stay in memory.

use std::{borrow::Cow, fmt};

use cmsg_config::text;
use zeroize::Zeroizing;

/// Bytes that are written to or were read from a file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Content(Zeroizing<Vec<u8>>);

impl Content {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text of a file that a person wrote.
    ///
    /// # Errors
    ///
    /// Where it is not text.
    pub(crate) fn decode(&self) -> Result<Cow<'_, str>, text::Undecodable> {
        text::decode(&self.0)
    }

    /// The same in UTF-8 without a byte order mark, whatever editor saved it. What is not text, as
    /// DER, stays as it is.
    pub(crate) fn plain(&self) -> Self {
        text::recode(&self.0).map_or_else(|_| self.clone(), |text| text.into_owned().into())
    }

    /// The bytes of a file that this program or the system wrote; what is not UTF-8 becomes
    /// replacement characters.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl<T: Into<Vec<u8>>> From<T> for Content {
    fn from(bytes: T) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
