//! The configuration file of a running role. A reload applies the keys that can change while the role
//! runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use cmsg_config::{ConfFile, Invalid, Loaded, Warning, keys::Key};
use tracing::{info, warn};

use crate::reload::Files;

/// A configuration file, as it was read at the start.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Path of the file.
    pub path: PathBuf,
    /// Its content.
    pub file: ConfFile,
}

impl Configuration {
    /// Has `files` read the configuration again at every reload, and calls `apply` if it is valid.
    pub(crate) fn follow<T: 'static>(
        self,
        files: &Files,
        keys: &'static [Key],
        read: fn(&ConfFile) -> Result<Loaded<T>, Invalid>,
        apply: impl Fn(&T) + Send + Sync + 'static,
    ) {
        let apply = Arc::new(apply);
        let Self { path, file: started } = self;
        let applied = Arc::new(ArcSwap::from_pointee(started.clone()));
        files.follow(move || {
            let file = ConfFile::load(&path)?;
            let Loaded { value, warnings } =
                read(&file).with_context(|| format!("in configuration `{}`", path.display()))?;
            let changed = names(keys, |key| key.reloads && differs(key, &applied.load(), &file));
            let postponed = names(keys, |key| !key.reloads && differs(key, &started, &file));
            let (path, apply, applied) = (path.clone(), Arc::clone(&apply), Arc::clone(&applied));
            Ok(Box::new(move || {
                warn_of(&path, &warnings);
                apply(&value);
                applied.store(Arc::new(file));
                if !changed.is_empty() {
                    info!(keys = changed, "Changed settings are in effect");
                }
                if !postponed.is_empty() {
                    warn!(keys = postponed, "Changed settings take effect at the next start");
                }
            }))
        });
    }
}

/// Logs the warnings about a configuration file.
pub fn warn_of(conf: &Path, warnings: &[Warning]) {
    for warning in warnings {
        warn!(file = %conf.display(), line = warning.line, what = warning.what, "Configuration warning");
    }
}

fn differs(key: &Key, before: &ConfFile, now: &ConfFile) -> bool {
    key.values(before) != key.values(now)
}

fn names(keys: &[Key], wanted: impl Fn(&Key) -> bool) -> String {
    let names: Vec<_> = keys.iter().filter(|key| wanted(key)).map(|key| key.name).collect();
    names.join(", ")
}
