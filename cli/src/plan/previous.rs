//! What an installation was before it was last changed, for `rollback`: the files that were changed,
//! as they were. Of the note of what the installer made, only what it wrote into the configurations
//! is as it was; what it made on the host goes on.

use std::{collections::BTreeMap, path::PathBuf};

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{layout, remove, write};
use crate::{
    content::Content,
    host::{
        files::MAX_BYTES,
        installed::{Installed, InstalledFile},
    },
    step::{Step, trace::Trace},
};

/// The form of the document.
const SCHEMA: u32 = 1;

/// The former state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Previous {
    schema: u32,
    /// The version that had installed it.
    pub(crate) version: String,
    /// Whether another daemon was installed, which is kept beside the present one.
    pub(crate) has_daemon: bool,
    /// Files by path; none where there was none.
    files: BTreeMap<PathBuf, Option<Kept>>,
}

/// What comes back.
#[derive(Debug, Clone)]
pub(crate) struct BackTo {
    /// The former state.
    pub(crate) previous: Previous,
    /// The installation as it was then.
    pub(crate) base: Installed,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Text(String),
    Bytes(Vec<u8>),
}

impl Previous {
    /// What an installation is, as far as these steps change it; none where they change nothing, and
    /// no other images run afterwards.
    pub(super) fn of(
        steps: &[Step],
        installed: &Installed,
        paths: &Paths,
        has_other_images: bool,
    ) -> Option<Self> {
        if !installed.is_there(paths) {
            return None;
        }
        let ours = layout::files(paths);
        // The host's authorities are read anew every time.
        let own = [layout::record(paths), layout::previous(paths), layout::host_authorities(paths)];
        let mut files = BTreeMap::new();
        for trace in steps.iter().flat_map(Step::traces) {
            if let Trace::New(path) | Trace::Replaced(path) = trace
                && ours.contains(&path)
                && !own.contains(&path)
            {
                let before = installed.content(&path).map(Kept::from);
                files.insert(path, before);
            }
        }
        // The stack file is written with every deployment.
        let stack = layout::stack(paths);
        let record = layout::record(paths);
        let has_daemon = steps.iter().any(|step| matches!(step, Step::CopyDaemon { .. }));
        let is_same = files.keys().all(|path| *path == stack) && !has_daemon && !has_other_images;
        files.insert(record.clone(), installed.content(&record).map(Kept::from));
        let version = super::Record::of(installed, paths).version;
        (!is_same).then_some(Self { schema: SCHEMA, version, has_daemon, files })
    }

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
    pub(super) fn render(&self) -> Option<Content> {
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

    /// The steps that restore files, but for those that other steps change and `decided` ones.
    pub(super) fn bring_back(
        &self,
        (others, decided): (&[Step], &[PathBuf]),
        installed: &Installed,
        paths: &Paths,
    ) -> Vec<Step> {
        let touched: Vec<PathBuf> = others
            .iter()
            .flat_map(Step::traces)
            .filter_map(|trace| match trace {
                Trace::New(path) | Trace::Replaced(path) => Some(path),
                _ => None,
            })
            .collect();
        // These are written anew.
        let own = [layout::stack(paths), layout::record(paths)];
        let is_left = |path: &PathBuf| {
            ![&touched[..], decided, &own].iter().any(|paths| paths.contains(path))
        };
        let left = self.files.iter().filter(|(path, _)| is_left(path));
        left.filter_map(|(path, kept)| match kept {
            Some(kept) => write(installed, path.clone(), kept.content()),
            None => remove(installed, path.clone()),
        })
        .collect()
    }
}

impl Kept {
    fn content(&self) -> Content {
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

#[cfg(test)]
mod tests;
