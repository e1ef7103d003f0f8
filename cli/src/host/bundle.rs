//! The bundle that is installed from where there is no network: verified, and its images where the
//! engine can be given them.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use cmsg_bundles::{IMAGES, Kind, Listed, Manifest, Opened, Problem, Watch, open};
use cmsg_engine::archive::Source;

use crate::trusted::{self, Untrusted};

/// Where the images of an archive go meanwhile, unless `TMPDIR` names another folder.
const ROOM: &str = "/var/tmp";

/// A bundle. What was unpacked of it goes with it.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// What was found in it.
    pub(crate) fact: BundleFact,
    _opened: Option<Opened>,
}

/// What was found in a bundle.
#[derive(Debug, Clone)]
pub(crate) struct BundleFact {
    pub(crate) path: PathBuf,
    /// What is in it, where all of it is as its manifest says.
    pub(crate) manifest: Result<Manifest, Arc<Problem>>,
    /// The archive of its images, the very file that was verified.
    pub(crate) images: Option<Source>,
}

impl Bundle {
    /// Verifies it, and takes the images out of an archive.
    ///
    /// # Errors
    ///
    /// That somebody has interrupted it, or could exchange what is unpacked.
    pub(crate) fn read(path: &Path, watch: &mut Watch<'_>) -> Result<Self, BundleError> {
        let room = room();
        trusted::check_folder(&room)?;
        let wants = |listed: &Listed| listed.kind == Kind::Images;
        let (manifest, opened) = match open(path, &room, &wants, watch) {
            Err(Problem::Interrupted) => return Err(BundleError::Interrupted),
            Err(problem) => (Err(Arc::new(problem)), None),
            Ok(opened) => (Ok(opened.manifest.clone()), Some(opened)),
        };
        let mut opened = opened;
        let file = opened.as_mut().and_then(|opened| opened.files.remove(IMAGES));
        let images = file.map(|file| Source::of(path.join(IMAGES), file));
        let fact = BundleFact { path: path.to_owned(), manifest, images };
        Ok(Self { fact, _opened: opened })
    }
}

/// Why a bundle was not read.
#[derive(Debug)]
pub(crate) enum BundleError {
    /// Somebody does not want to wait for it.
    Interrupted,
    /// Another user could exchange what is unpacked.
    Untrusted(Untrusted),
}

impl From<Untrusted> for BundleError {
    fn from(untrusted: Untrusted) -> Self {
        Self::Untrusted(untrusted)
    }
}

/// Where the images of an archive go meanwhile.
pub(crate) fn room() -> PathBuf {
    env::var_os("TMPDIR").filter(|room| !room.is_empty()).map_or(ROOM.into(), PathBuf::from)
}
