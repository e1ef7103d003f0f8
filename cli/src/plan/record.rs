//! What the installer notes for itself: its version, and the folders that were not there before it
//! came, so that a removal leaves everything as it was.

use std::path::PathBuf;

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::layout;
use crate::host::installed::Installed;

/// The note in `installation.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The form of this document.
    schema: u32,
    /// What installed it.
    pub(crate) version: String,
    /// The folders that it made.
    pub(crate) folders: Vec<PathBuf>,
}

impl Record {
    /// The note of an installation; an empty one where there is none that can be read.
    pub(crate) fn of(installed: &Installed, paths: &Paths) -> Self {
        installed
            .content(&layout::record(paths))
            .and_then(|content| serde_json::from_slice(content.bytes()).ok())
            .unwrap_or_else(|| Self { schema: 1, version: String::new(), folders: Vec::new() })
    }

    /// The note after this version made more folders.
    pub(crate) fn and(mut self, folders: &[PathBuf]) -> Self {
        env!("CARGO_PKG_VERSION").clone_into(&mut self.version);
        for folder in folders {
            if !self.folders.contains(folder) {
                self.folders.push(folder.clone());
            }
        }
        self
    }

    /// The document.
    pub(crate) fn render(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("strings and paths of UTF-8 are JSON");
        text + "\n"
    }
}
