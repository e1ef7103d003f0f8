//! The bundle for sites without a network, of the package and of whatever it is to be installed with.

use std::path::Path;

use anyhow::Context as _;
use cmsg_bundles::{Contents, build};

use super::{Options, VERSION, repository};
use crate::images;

/// Makes it of the repository in a folder and of the images among the sources.
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
        // It has a line in the list of digests, which is signed.
        sign: None,
    };
    let name = name(system, options.package_release);
    build(&contents, &made.join(&name), &mut |_, _| true)
        .with_context(|| format!("making `{name}`"))?;
    Ok(())
}

/// As the guide calls it.
fn name(system: &str, release: u32) -> String {
    format!("pcoip-cmsg-setup_darksite-{VERSION}-{release}.{system}.tar.gz")
}
