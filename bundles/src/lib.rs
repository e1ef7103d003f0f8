//! The bundle that carries the product to a site without a network: one `.tar.gz` with packages,
//! images, a script and a manifest of all of them. Made, verified and unpacked as a stream, so that
//! its size does not matter to memory. Whatever is in a bundle is hostile until the manifest's digest
//! has vouched for it.

mod archive;
mod build;
mod digest;
mod folder;
mod manifest;
mod name;
mod problem;

use std::{collections::BTreeMap, fs::File, path::Path};

use tempfile::TempDir;

pub use archive::{Unpacked, unpack};
pub use build::{Built, Contents, Sign, build};
pub use manifest::{Kind, Listed, Manifest};
pub use name::PackageName;
pub use problem::Problem;

/// The folder that comes out of the archive.
pub const FOLDER: &str = "teradici-pcoip-cmsg-bundle";
/// The archive's usual name.
pub const ARCHIVE: &str = "teradici-pcoip-cmsg-bundle.tar.gz";
/// The manifest in that folder, the archive's first file.
pub const MANIFEST: &str = "manifest.json";
/// The manifest's detached signature, where there is one: the one file beside the manifest that is
/// not in it.
pub const SIGNATURE: &str = "manifest.json.sig";
/// The archive of both images in that folder.
pub const IMAGES: &str = "pcoip-cmsg-images.tar";
/// The folder of the packages in that folder.
pub const PACKAGES: &str = "dependencies";
/// The script that installs from that folder.
pub const SCRIPT: &str = "pcoip-cmsg-setup-offline.sh";
/// The script's text.
pub const SCRIPT_TEXT: &str = include_str!("../pcoip-cmsg-setup-offline.sh");

/// Is told how many bytes of all are done; answers whether to go on.
pub type Watch<'w> = dyn FnMut(u64, u64) -> bool + 'w;

/// Files of a bundle that are open, by their paths in it.
pub type Files = BTreeMap<String, File>;

/// A bundle that was verified.
#[derive(Debug)]
pub struct Opened {
    /// What is in it.
    pub manifest: Manifest,
    /// Those of its files that were wanted. They have the bytes that were verified, whatever has
    /// their names by now.
    pub files: Files,
    _folder: Option<TempDir>,
}

/// Verifies a bundle, and keeps those of its files that are wanted open. Copies are made in `room`.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn open(
    bundle: &Path,
    room: &Path,
    wants: &dyn Fn(&Listed) -> bool,
    watch: &mut Watch<'_>,
) -> Result<Opened, Problem> {
    let metadata = bundle.metadata().map_err(|why| Problem::unreadable(bundle, why))?;
    if metadata.is_dir() {
        let (manifest, files) = folder::open(bundle, room, wants, watch)?;
        return Ok(Opened { manifest, files, _folder: None });
    }
    let Unpacked { manifest, files, folder } = unpack(bundle, room, wants, watch)?;
    Ok(Opened { manifest, files, _folder: Some(folder) })
}

/// Verifies a bundle, the archive or the folder that came out of it: every file of the manifest is
/// there with its size and digest, nothing is there besides, and all are regular files.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn verify(bundle: &Path, watch: &mut Watch<'_>) -> Result<Manifest, Problem> {
    let metadata = bundle.metadata().map_err(|why| Problem::unreadable(bundle, why))?;
    if metadata.is_dir() { folder::verify(bundle, watch) } else { archive::verify(bundle, watch) }
}

#[cfg(test)]
mod tests;
