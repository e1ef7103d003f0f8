//! The bundle for sites without a network: a `.tar.gz` with packages, images, a script and a
//! manifest of all files. It is built, verified and unpacked as a stream, so memory use does not
//! depend on its size. All data in a bundle is untrusted until it matches the manifest's digest.

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

/// The directory in the archive.
pub const FOLDER: &str = "teradici-pcoip-cmsg-bundle";
/// Default name of the archive.
pub const ARCHIVE: &str = "teradici-pcoip-cmsg-bundle.tar.gz";
/// The manifest in that directory, and the first file in the archive.
pub const MANIFEST: &str = "manifest.json";
/// The detached signature of the manifest, if there is one: the only other file that the manifest
/// does not list.
pub const SIGNATURE: &str = "manifest.json.sig";
/// The archive of both images in that directory.
pub const IMAGES: &str = "pcoip-cmsg-images.tar";
/// The directory of the packages in that directory.
pub const PACKAGES: &str = "dependencies";
/// The script that installs from that directory.
pub const SCRIPT: &str = "pcoip-cmsg-setup-offline.sh";
pub const SCRIPT_TEXT: &str = include_str!("../pcoip-cmsg-setup-offline.sh");

/// Receives the number of processed bytes and the total. Returns whether to continue.
pub type Watch<'w> = dyn FnMut(u64, u64) -> bool + 'w;

/// Open files of a bundle by their path in it.
pub type Files = BTreeMap<String, File>;

/// A verified bundle.
#[derive(Debug)]
pub struct Opened {
    pub manifest: Manifest,
    /// The wanted files. Their content is what was verified, even if the files were replaced since.
    pub files: Files,
    _folder: Option<TempDir>,
}

/// Verifies a bundle, and keeps the wanted files open. Copies are created in `room`.
///
/// # Errors
///
/// [`Problem`]: the first one in the bundle.
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

/// Verifies a bundle, which may be an archive or an unpacked directory: every file in the manifest
/// exists with its size and digest, there are no other files, and all are regular files.
///
/// # Errors
///
/// [`Problem`]: the first one in the bundle.
pub fn verify(bundle: &Path, watch: &mut Watch<'_>) -> Result<Manifest, Problem> {
    let metadata = bundle.metadata().map_err(|why| Problem::unreadable(bundle, why))?;
    if metadata.is_dir() { folder::verify(bundle, watch) } else { archive::verify(bundle, watch) }
}

#[cfg(test)]
mod tests;
