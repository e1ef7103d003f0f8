//! The problems of a bundle, by kind.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{FOLDER, MANIFEST};

/// The first problem in a bundle.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    /// The file or directory is not a bundle.
    #[error("it is not a bundle: {0}")]
    NotOne(String),
    /// The archive is truncated.
    #[error("the archive ends early")]
    Truncated,
    /// The archive's own checksum does not match, or there is data after its end.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// A file in the manifest is missing.
    #[error("`{0}` is listed in `{MANIFEST}` but is missing")]
    Missing(String),
    /// A file is not in the manifest.
    #[error("`{0}` is not in `{MANIFEST}`")]
    Besides(String),
    /// A file or entry is not a regular file.
    #[error("`{path}` is {what}; a bundle contains only regular files")]
    NotRegular {
        path: String,
        /// Its kind, with an article.
        what: &'static str,
    },
    /// The path of an entry leaves the directory.
    #[error("`{0}` is outside the directory `{FOLDER}`")]
    LeadsOut(String),
    /// The size of a file differs from the manifest.
    #[error("the size of `{path}` is {found}, but `{MANIFEST}` says {expected}")]
    Size {
        path: String,
        /// Size in the manifest.
        expected: u64,
        /// Actual size.
        found: u64,
    },
    /// The digest of a file differs from the manifest.
    #[error("`{path}` has the SHA-256 digest {found}, but `{MANIFEST}` says {expected}")]
    Digest {
        path: String,
        /// Digest in the manifest.
        expected: String,
        /// Actual digest.
        found: String,
    },
    /// The total size of the files is above the limit.
    #[error("its files would need {0} bytes, more than a bundle can contain")]
    TooLarge(u64),
    /// A package cannot be part of a bundle.
    #[error("the package `{name}` cannot be in a bundle: {why}")]
    Package {
        /// File name of the package.
        name: String,
        why: String,
    },
    /// Creating the signature failed.
    #[error("`{MANIFEST}` cannot be signed")]
    Unsigned(#[source] io::Error),
    /// The watcher stopped the operation.
    #[error("interrupted")]
    Interrupted,
}

impl Problem {
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), source }
    }

    pub(crate) fn unwritable(path: &Path, source: io::Error) -> Self {
        Self::Unwritable { path: path.to_owned(), source }
    }

    /// Converts an error of the tar or gzip reader.
    pub(crate) fn of_archive(source: &io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Damaged(shown(source.to_string().as_bytes())),
        }
    }
}

/// An untrusted name, escaped for a terminal.
pub(crate) fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(name);
    text.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}
