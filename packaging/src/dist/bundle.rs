//! The bundle for sites without a network: the package, its dependencies and the images.

use std::path::Path;

use anyhow::Context as _;
use cmsg_bundles::{Contents, build};

use super::{Options, VERSION, repository};
use crate::images;

/// Builds the bundle from the repository in a directory and the images in the sources.
pub(super) fn make(
    made: &Path,
    system: &str,
    sources: &Path,
    options: &Options,
) -> anyhow::Result<()> {
    let mut packages = repository::packages(&made.join(system))?;
    if let Some(dependencies) = &options.dependencies {
        packages.extend(repository::packages(&dependencies.join(system))?);
    }
    let contents = Contents {
        version: VERSION,
        architecture: "x86_64",
        images: &sources.join(images::ARCHIVE),
        packages: &packages,
        // The signed list of digests contains the bundle.
        sign: None,
    };
    let name = name(system, options.package_release);
    build(&contents, &made.join(&name), &mut |_, _| true)
        .with_context(|| format!("making `{name}`"))?;
    Ok(())
}

/// File name as in the administrators' guide.
fn name(system: &str, release: u32) -> String {
    format!("pcoip-cmsg-setup_darksite-{VERSION}-{release}.{system}.tar.gz")
}
