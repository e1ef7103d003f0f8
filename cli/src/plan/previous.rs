//! What an installation was before it was last changed, for `rollback`: the files that were changed,
//! as they were. Of the note of what the installer made, only what it wrote into the configurations
//! is as it was; what it made on the host goes on.

use std::{collections::BTreeMap, path::PathBuf};

use cmsg_config::Paths;

use super::{remove, write};
use crate::{
    installation::{
        installed::Installed,
        layout,
        previous::{Kept, Previous, SCHEMA},
    },
    step::{
        Step,
        file::{New, Replaced},
        trace::Trace,
    },
};

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
            if let Trace::New(New(path)) | Trace::Replaced(Replaced(path)) = trace
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
                Trace::New(New(path)) | Trace::Replaced(Replaced(path)) => Some(path),
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

#[cfg(test)]
mod tests;
