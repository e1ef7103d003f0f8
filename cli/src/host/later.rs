//! What the operator names for functions that are not there yet: whether it can be read.

use super::files;
use crate::{content::Content, wanted::later::Later};

/// Reads it, by the settings that name it.
pub(super) fn read(later: &Later) -> Vec<(&'static str, Result<Content, String>)> {
    let compose = later.docker.compose_file.as_ref().map(|path| {
        let content = files::read(path).map_err(|why| format!("`{}`: {why}", path.display()));
        ("compose-file", content)
    });
    // A bundle is an archive or the folder that came out of it.
    let bundle = later.docker.bundle.as_ref().map(|path| {
        let there = path.metadata().map(|_| Vec::new().into());
        ("darksite-bundle-path", there.map_err(|why| format!("`{}`: {why}", path.display())))
    });
    compose.into_iter().chain(bundle).collect()
}
