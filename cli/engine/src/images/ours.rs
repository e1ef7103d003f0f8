//! Checks that an image from a registry is the requested one.

use std::fmt;

use bollard::models::ImageInspect;

use crate::{LAYER_LABEL, VERSION_LABEL};

/// Why an image is not the requested one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// It lacks the labels of this product.
    Unmarked,
    /// It has another version, or none.
    Version(Option<String>),
    /// It is for another platform, for example `linux/arm64`.
    Platform(String),
    /// Its layers differ from its label: somebody built it on top of an image of this product.
    Changed,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmarked => f.write_str("it is not an image of this product"),
            Self::Version(Some(version)) => write!(f, "its version is `{version}`"),
            Self::Version(None) => f.write_str("it does not specify its version"),
            Self::Platform(platform) => write!(f, "it is for `{platform}`"),
            Self::Changed => {
                f.write_str("it was changed: its layers do not match the ones that it lists")
            }
        }
    }
}

/// Checks an image for a version and the engine's architecture. Returns the digest of its layer.
pub(super) fn judge(
    image: &ImageInspect,
    version: &str,
    architecture: &str,
) -> Result<String, Foreign> {
    let labels = image.config.as_ref().and_then(|config| config.labels.as_ref());
    let label = |name| labels.and_then(|labels| labels.get(name));
    let layer = label(LAYER_LABEL).ok_or(Foreign::Unmarked)?;
    let (os, built_for) = (text(image.os.as_ref()), text(image.architecture.as_ref()));
    if os != "linux" || built_for != architecture {
        return Err(Foreign::Platform(crate::words::plain(&format!("{os}/{built_for}"), 64)));
    }
    match label(VERSION_LABEL) {
        Some(found) if found == version => {}
        found => return Err(Foreign::Version(found.map(|found| crate::words::plain(found, 64)))),
    }
    let layers = image.root_fs.as_ref().and_then(|root| root.layers.as_deref());
    if layers != Some(std::slice::from_ref(layer)) {
        return Err(Foreign::Changed);
    }
    Ok(layer.clone())
}

fn text(value: Option<&String>) -> &str {
    value.map_or("", String::as_str)
}

#[cfg(test)]
mod tests {
    use bollard::models::{ImageConfig, ImageInspectRootFs};

    use super::*;

    fn image(labels: &[(&str, &str)], architecture: &str, layers: &[&str]) -> ImageInspect {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let labels = Some(labels.iter().map(owned).collect());
        ImageInspect {
            config: Some(ImageConfig { labels, ..ImageConfig::default() }),
            architecture: Some(architecture.to_owned()),
            os: Some("linux".to_owned()),
            root_fs: Some(ImageInspectRootFs {
                typ: "layers".to_owned(),
                layers: Some(layers.iter().map(|layer| (*layer).to_owned()).collect()),
            }),
            ..ImageInspect::default()
        }
    }

    #[test]
    fn an_image_is_only_accepted_if_it_is_the_requested_one() {
        let (ours, one) = ((LAYER_LABEL, "sha256:a"), (VERSION_LABEL, "1"));
        for (labels, architecture, layers, expected) in [
            (&[ours, one][..], "amd64", &["sha256:a"][..], Ok("sha256:a".to_owned())),
            (&[one], "amd64", &["sha256:a"], Err(Foreign::Unmarked)),
            (&[ours], "amd64", &["sha256:a"], Err(Foreign::Version(None))),
            (
                &[ours, (VERSION_LABEL, "2\n")],
                "amd64",
                &["sha256:a"],
                Err(Foreign::Version(Some("2".to_owned()))),
            ),
            (
                &[ours, one],
                "arm64",
                &["sha256:a"],
                Err(Foreign::Platform("linux/arm64".to_owned())),
            ),
            (&[ours, one], "amd64", &["sha256:a", "sha256:b"], Err(Foreign::Changed)),
            (&[ours, one], "amd64", &[], Err(Foreign::Changed)),
        ] {
            assert_eq!(judge(&image(labels, architecture, layers), "1", "amd64"), expected);
        }
        assert_eq!(judge(&ImageInspect::default(), "1", "amd64"), Err(Foreign::Unmarked));
    }
}
