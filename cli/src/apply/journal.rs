//! What is written down before a plan's first effect, so that the next command can take back what a
//! killed one left. It lies beside the installer's lock, where a folder always is, and is gone when
//! the plan is settled.

use std::path::PathBuf;

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use crate::{
    content::Content,
    installation::layout,
    step::{Step, trace::Trace},
};

/// The form of the document.
const SCHEMA: u32 = 1;

/// A plan that is being performed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    schema: u32,
    version: String,
    pub(crate) command: String,
    pub(crate) pid: u32,
    /// How many of its steps were begun.
    begun: usize,
    /// Whether all were performed: there is nothing to undo, only to finish.
    pub(crate) is_settled: bool,
    steps: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    traces: Vec<Trace>,
}

/// Why a journal cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// It is none, or only a part of one.
    #[error("is not a journal: {0}")]
    Torn(String),
    /// Another version wrote it.
    #[error("was written by version {0}, in a format that this version does not support")]
    Foreign(String),
}

pub(crate) fn path(paths: &Paths) -> PathBuf {
    layout::beside(paths.root()).join(".pcoip-cmsg-setup.journal")
}

impl Journal {
    /// The journal of a command that has begun nothing yet.
    pub(crate) fn of(command: &str, steps: &[Step]) -> Self {
        let entry = |step: &Step| Entry { name: step.name(), traces: step.traces() };
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command.to_owned(),
            pid: std::process::id(),
            begun: 0,
            is_settled: false,
            steps: steps.iter().map(entry).collect(),
        }
    }

    /// The same when so many steps are begun.
    pub(crate) fn at(&self, begun: usize) -> Self {
        Self { begun, ..self.clone() }
    }

    /// The same when all steps are done.
    pub(crate) fn settled(&self) -> Self {
        Self { is_settled: true, ..self.clone() }
    }

    /// Reads the document.
    ///
    /// # Errors
    ///
    /// Where it is damaged, or not of this form.
    pub(crate) fn parse(text: &str) -> Result<Self, Unread> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
            version: String,
        }
        let torn = |error: serde_json::Error| Unread::Torn(error.to_string());
        let head: Head = serde_json::from_str(text).map_err(torn)?;
        if head.schema != SCHEMA {
            return Err(Unread::Foreign(head.version));
        }
        serde_json::from_str(text).map_err(torn)
    }

    /// The document.
    ///
    /// # Errors
    ///
    /// Where a path is no UTF-8.
    pub(crate) fn render(&self) -> anyhow::Result<Content> {
        Ok((serde_json::to_string_pretty(self)? + "\n").into())
    }

    /// What the steps that were begun have left, in their order.
    pub(crate) fn traces(&self) -> impl DoubleEndedIterator<Item = &Trace> {
        self.steps.iter().take(self.begun).flat_map(|entry| &entry.traces)
    }

    /// The step that was begun last.
    pub(crate) fn last(&self) -> &str {
        let last = self.begun.checked_sub(1).and_then(|last| self.steps.get(last));
        last.map_or("its beginning", |entry| &entry.name)
    }
}

#[cfg(test)]
mod tests;
