//! What can be wrong with a bundle, each by its name.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{FOLDER, MANIFEST};

/// The first thing that is wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is none.
    #[error("it is no bundle: {0}")]
    NotOne(String),
    /// The archive ends before all of it is there.
    #[error("the archive ends early")]
    Truncated,
    /// The archive's own checksums do not fit, or something stands behind its end.
    #[error("the archive is damaged: {0}")]
    Damaged(String),
    /// A file of the manifest is not there.
    #[error("`{0}` stands in `{MANIFEST}`, and is missing")]
    Missing(String),
    /// A file is there that the manifest does not have.
    #[error("`{0}` does not stand in `{MANIFEST}`")]
    Besides(String),
    /// It is no regular file.
    #[error("`{path}` is {what}; a bundle has regular files only")]
    NotRegular {
        /// Which.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// An entry of the archive would land somewhere else.
    #[error("`{0}` leads out of the folder `{FOLDER}`")]
    LeadsOut(String),
    /// A file has another size than the manifest says.
    #[error("`{path}` has {found} bytes, and `{MANIFEST}` says {expected}")]
    Size {
        /// Which.
        path: String,
        /// The size in the manifest.
        expected: u64,
        /// Its size.
        found: u64,
    },
    /// A file has another digest than the manifest says.
    #[error("`{path}` has the SHA-256 digest {found}, and `{MANIFEST}` says {expected}")]
    Digest {
        /// Which.
        path: String,
        /// The digest in the manifest.
        expected: String,
        /// Its digest.
        found: String,
    },
    /// It would take more room than any bundle.
    #[error("its files would take {0} bytes, more than any bundle")]
    TooLarge(u64),
    /// A package cannot be in a bundle.
    #[error("the package `{name}` cannot be in a bundle: {why}")]
    Package {
        /// The name of its file.
        name: String,
        /// Why not.
        why: String,
    },
    /// The manifest cannot be signed.
    #[error("`{MANIFEST}` cannot be signed")]
    Unsigned(#[source] io::Error),
    /// Whoever watches wants it ended.
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

    /// What reading the archive's own form says.
    pub(crate) fn of_archive(source: &io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Damaged(shown(source.to_string().as_bytes())),
        }
    }
}

/// A name that somebody else wrote, as a terminal can take it.
pub(crate) fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(name);
    text.chars().take(LONGEST).flat_map(char::escape_debug).collect()
}
