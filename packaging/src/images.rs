//! `cargo xtask images`: the two container images, created without Docker. They share one layer
//! with the static daemon and the mount points; the same binary gives the same bytes.

mod archive;
mod layer;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;

use crate::{screen, statics};
use archive::Image;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Path of the archive
    #[arg(long, value_name = "FILE", default_value_os_t = Path::new("target").join(ARCHIVE))]
    to: PathBuf,
    /// Cargo profile of the daemon
    #[arg(long, default_value = "release")]
    profile: String,
    /// Version in the tags and labels of the images
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    image_version: String,
    /// Use this static daemon instead of building one
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
}

/// Name of the archive beside the installer.
pub(crate) const ARCHIVE: &str = "pcoip-cmsg-images.tar";

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let daemon = match &options.daemon {
        Some(daemon) => daemon.clone(),
        None => statics::build(statics::DAEMON, &options.profile)?,
    };
    for image in make(&daemon, &options.image_version, &options.to)? {
        screen::data(&format!("{}\t{}", image.tag, image.id));
    }
    Ok(ExitCode::SUCCESS)
}

/// Creates the images from a static daemon.
pub(crate) fn make(daemon: &Path, version: &str, to: &Path) -> anyhow::Result<Vec<Image>> {
    let archive = archive::archive(&statics::read(daemon)?, version)?;
    write(to, &archive.bytes)?;
    Ok(archive.images)
}

/// Writes the archive atomically.
fn write(to: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder =
        to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("writing to `{}`", folder.display()))?;
    std::io::Write::write_all(&mut file, bytes).context("writing the archive")?;
    let file = file.persist(to).with_context(|| format!("writing `{}`", to.display()))?;
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.set_permissions(everyone).context("making the archive readable for all users")
}

#[cfg(test)]
mod tests;
