//! The bundle for sites without a network: read by what installs from it.

use std::{path::Path, time::Duration};

use cmsg_bundles::IMAGES;
use cmsg_config::cause;
use cmsg_engine::archive::{ImageArchive, Source};

use super::Ended;
use crate::{
    answers::Answers,
    args::settings::Setting,
    host::{
        Facts,
        bundle::{Bundle, BundleError},
    },
    system::{Real, System as _},
};

/// Verifies the bundle that the answers name, if they do. What comes back is here already.
pub(super) fn read(
    answers: &Answers,
    goes_back: bool,
    system: &mut Real,
) -> Result<Option<Bundle>, Ended> {
    let path = answers.of(Setting::DarksiteBundlePath).texts.first().filter(|_| !goes_back);
    let Some(path) = path else { return Ok(None) };
    let progress = system.progress();
    let mut watch = |done, total| {
        progress.bytes(done, total);
        !system.pause(Duration::ZERO)
    };
    let read = || Bundle::read(Path::new(path), &mut watch);
    let bundle = progress.during("Verifying the bundle", read);
    bundle.map(Some).map_err(|stopped| match stopped {
        BundleError::Interrupted => Ended::Interrupted,
        BundleError::Untrusted(untrusted) => vec![untrusted.finding()].into(),
    })
}

/// Whether nothing is wrong with it, where there is one.
pub(super) fn is_whole(bundle: Option<&Bundle>) -> bool {
    bundle.is_none_or(|bundle| bundle.fact.manifest.is_ok())
}

/// Has the images come out of it, where it is whole.
pub(super) fn take(facts: &mut Facts, bundle: &Bundle) {
    let fact = bundle.fact.clone();
    if let (Some(deploying), Ok(_)) = (&mut facts.deploying, &fact.manifest) {
        let images = fact.images.clone().ok_or_else(|| format!("the bundle has no `{IMAGES}`"));
        let read =
            |images: Source| ImageArchive::read(images).map_err(|why| cause::chain(why.as_ref()));
        deploying.images = images.and_then(read);
    }
    facts.bundle = Some(fact);
}
