//! The content of a file. It may be a key, so it is not shown and does not stay in memory.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes that are written to or were read from a file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Content(Zeroizing<Vec<u8>>);

impl Content {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text; what is not UTF-8 becomes replacement characters.
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
