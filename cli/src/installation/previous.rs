//! What an installation was before it was last changed, for `rollback`: the files that were changed,
//! as they were. Of the note of what the installer made, only what it wrote into the configurations
//! is as it was; what it made on the host goes on.

use std::{collections::BTreeMap, path::PathBuf};

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{
    installed::{Installed, InstalledFile},
    layout,
};
use crate::{content::Content, files::MAX_BYTES};

/// The form of the document.
pub(crate) const SCHEMA: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Previous {
    pub(crate) schema: u32,
    /// The version that had installed it.
    pub(crate) version: String,
    /// Whether another daemon was installed, which is kept beside the present one.
    pub(crate) has_daemon: bool,
    /// Files by path; none where there was none.
    pub(crate) files: BTreeMap<PathBuf, Option<Kept>>,
}

#[derive(Debug, Clone)]
pub(crate) struct BackTo {
    pub(crate) previous: Previous,
    /// The installation as it was then.
    pub(crate) base: Installed,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kept {
    Text(String),
    Bytes(Vec<u8>),
}

impl Previous {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// Where it is none of this form, or has a file that is none of the installation's.
    pub(crate) fn parse(bytes: &[u8], paths: &Paths) -> Result<Self, String> {
        let previous: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if previous.schema != SCHEMA {
            return Err(format!("has the unsupported schema version {}", previous.schema));
        }
        let ours = layout::files(paths);
        match previous.files.keys().find(|path| !ours.contains(path)) {
            Some(path) => {
                Err(format!("lists the file {path:?}, which is not part of the installation"))
            }
            None => Ok(previous),
        }
    }

    /// The document, unless it is too long to be read again.
    pub(crate) fn render(&self) -> Option<Content> {
        let text = serde_json::to_vec(self).expect("paths of UTF-8 are JSON");
        u64::try_from(text.len()).is_ok_and(|length| length <= MAX_BYTES).then(|| text.into())
    }

    /// The installation as it was.
    pub(crate) fn over(&self, installed: &Installed) -> Installed {
        let mut before = installed.clone();
        for (path, kept) in &self.files {
            match kept {
                Some(kept) => {
                    let file = InstalledFile { content: kept.content(), is_private: true };
                    before.files.insert(path.clone(), file);
                }
                None => drop(before.files.remove(path)),
            }
        }
        before
    }
}

impl Kept {
    /// As a file has it.
    pub(crate) fn content(&self) -> Content {
        match self {
            Self::Text(text) => text.clone().into(),
            Self::Bytes(bytes) => bytes.clone().into(),
        }
    }
}

impl From<&Content> for Kept {
    fn from(content: &Content) -> Self {
        match std::str::from_utf8(content.bytes()) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(content.bytes().into()),
        }
    }
}
