//! The bundle that is installed from where there is no network: verified, and its images where the
//! engine can be given them.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use cmsg_bundles::{IMAGES, Kind, Listed, Manifest, Problem, Unpacked, Watch, unpack, verify};

/// Where the images of an archive go meanwhile, unless `TMPDIR` names another folder.
const ROOM: &str = "/var/tmp";

/// A bundle. What was unpacked of it goes with it.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// What was found in it.
    pub(crate) fact: BundleFact,
    _unpacked: Option<Unpacked>,
}

/// What was found in a bundle.
#[derive(Debug, Clone)]
pub(crate) struct BundleFact {
    /// What was named.
    pub(crate) path: PathBuf,
    /// What is in it, where all of it is as its manifest says.
    pub(crate) manifest: Result<Manifest, Arc<Problem>>,
    /// Where the archive of its images lies.
    pub(crate) images: PathBuf,
}

impl Bundle {
    /// Verifies it, and takes the images out of an archive.
    ///
    /// # Errors
    ///
    /// That somebody has interrupted it.
    pub(crate) fn read(path: &Path, watch: &mut Watch<'_>) -> Result<Self, Interrupted> {
        let (manifest, unpacked) = if path.is_dir() {
            (verify(path, watch), None)
        } else {
            let wants = |listed: &Listed| listed.kind == Kind::Images;
            match unpack(path, &room(), &wants, watch) {
                Ok(unpacked) => (Ok(unpacked.manifest.clone()), Some(unpacked)),
                Err(problem) => (Err(problem), None),
            }
        };
        if matches!(manifest, Err(Problem::Interrupted)) {
            return Err(Interrupted);
        }
        let folder = unpacked.as_ref().map_or(path, Unpacked::folder);
        let fact = BundleFact {
            path: path.to_owned(),
            manifest: manifest.map_err(Arc::new),
            images: folder.join(IMAGES),
        };
        Ok(Self { fact, _unpacked: unpacked })
    }
}

/// Somebody does not want to wait for it.
#[derive(Debug)]
pub(crate) struct Interrupted;

/// Where the images of an archive go meanwhile.
pub(crate) fn room() -> PathBuf {
    env::var_os("TMPDIR").filter(|room| !room.is_empty()).map_or(ROOM.into(), PathBuf::from)
}
