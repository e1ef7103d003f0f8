//! What the operator names for functions that are not there yet: whether it can be read.

use crate::{content::Content, wanted::Wanted};

/// Reads it, by the settings that name it.
pub(super) fn read(wanted: &Wanted) -> Vec<(&'static str, Result<Content, String>)> {
    // A bundle is an archive or the folder that came out of it.
    let bundle = wanted.docker.bundle.as_ref().map(|path| {
        let there = path.metadata().map(|_| Vec::new().into());
        ("darksite-bundle-path", there.map_err(|why| format!("`{}`: {why}", path.display())))
    });
    bundle.into_iter().collect()
}
