//! The archive of both images: reads the names of the images and their shared layer without loading
//! it.

mod saved;
mod source;

use std::{collections::BTreeMap, fs::File, io::Read as _};

use anyhow::{Context as _, bail};
use cmsg_config::socket::Role;
use serde::Deserialize;

use crate::LAYER_LABEL;

pub use saved::rewrite;
pub use source::Source;

/// Maximum size of a list or configuration in bytes.
const LARGEST: u64 = 64 * 1024;
/// Maximum number of files; more than an archive of ours, or one that an engine saved, has.
const MOST: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageArchive {
    pub source: Source,
    /// Size in bytes.
    pub bytes: u64,
    pub images: Vec<ArchivedImage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedImage {
    pub role: Role,
    /// Name of the image with its tag.
    pub tag: String,
    /// Digest of its layer.
    pub layer: String,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
    #[serde(rename = "RepoTags")]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Configuration {
    config: Inner,
}

#[derive(Deserialize)]
struct Inner {
    #[serde(rename = "Labels")]
    labels: BTreeMap<String, String>,
}

impl ImageArchive {
    /// Reads the lists and configurations of an archive.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not an archive of this product.
    pub fn read(source: impl Into<Source>) -> anyhow::Result<Self> {
        let source = source.into();
        let reading = || format!("reading the images `{}`", source.path().display());
        let file = source.open().with_context(reading)?;
        let bytes = file.metadata().with_context(reading)?.len();
        let mut small = small_files(file).with_context(reading)?;
        let Some(list) = small.remove("manifest.json") else {
            let path = source.path().display();
            bail!("`{path}` is not an image archive: it has no `manifest.json`");
        };
        let list: Vec<Listed> = serde_json::from_slice(&list).with_context(reading)?;
        let images: anyhow::Result<Vec<_>> =
            list.iter().map(|listed| image(listed, &small)).collect();
        let images = images.with_context(reading)?;
        Ok(Self { source, bytes, images })
    }

    pub fn image(&self, role: Role) -> Option<&ArchivedImage> {
        self.images.iter().find(|image| image.role == role)
    }
}

/// All files that are small enough to be a list or a configuration; layers are skipped by seeking.
fn small_files(file: File) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(file);
    let mut small = BTreeMap::new();
    for entry in archive.entries_with_seek()?.take(MOST) {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        if entry.size() <= LARGEST {
            let mut content = Vec::new();
            entry.by_ref().take(LARGEST).read_to_end(&mut content)?;
            small.insert(name, content);
        }
    }
    Ok(small)
}

fn image(listed: &Listed, small: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<ArchivedImage> {
    let [tag] = listed.tags.as_slice() else { bail!("an image does not have exactly one name") };
    let configuration = small.get(&listed.config).context("a configuration is missing")?;
    let configuration: Configuration = serde_json::from_slice(configuration)?;
    let Some(layer) = configuration.config.labels.get(LAYER_LABEL) else {
        bail!("the image `{tag}` does not belong to this product");
    };
    let name = tag.rsplit_once(':').map_or(tag.as_str(), |(name, _)| name);
    let role = match name.rsplit('/').next() {
        Some("pcoip-cm") => Role::Cm,
        Some("sg") => Role::Sg,
        _ => bail!("the image `{tag}` belongs to no service of this product"),
    };
    Ok(ArchivedImage { role, tag: tag.clone(), layer: layer.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn archive(files: &[(&str, Value)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.reopen().unwrap());
        for (name, content) in files {
            let content = content.to_string();
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
        file
    }

    fn configuration(layer: &str) -> Value {
        json!({ "config": { "Labels": { LAYER_LABEL: layer } } })
    }

    fn listed(config: &str, tag: &str) -> Value {
        json!({ "Config": config, "RepoTags": [tag], "Layers": ["l.tar"] })
    }

    #[test]
    fn names_and_layers_are_read_without_loading_it() {
        let list = json!([listed("a.json", "r/pcoip-cm:1"), listed("b.json", "r/sg:1")]);
        let file = archive(&[
            ("a.json", configuration("sha256:1")),
            ("b.json", configuration("sha256:1")),
            ("manifest.json", list),
        ]);

        let read = ImageArchive::read(file.path()).unwrap();

        assert_eq!(read.image(Role::Cm).unwrap().tag, "r/pcoip-cm:1");
        assert_eq!(read.image(Role::Sg).unwrap().tag, "r/sg:1");
        assert_eq!(read.image(Role::Sg).unwrap().layer, "sha256:1");
    }

    #[test]
    fn an_archive_of_other_images_is_refused_with_the_reason() {
        let foreign = json!({ "config": { "Labels": {} } });
        let table: [(&[(&str, Value)], &str); 4] = [
            (&[("a.json", configuration("l"))], "it has no `manifest.json`"),
            (
                &[("manifest.json", json!([listed("a.json", "r/sg:1")]))],
                "a configuration is missing",
            ),
            (
                &[("a.json", foreign), ("manifest.json", json!([listed("a.json", "r/sg:1")]))],
                "the image `r/sg:1` does not belong to this product",
            ),
            (
                &[
                    ("a.json", configuration("l")),
                    ("manifest.json", json!([listed("a.json", "r/nginx:1")])),
                ],
                "the image `r/nginx:1` belongs to no service of this product",
            ),
        ];
        for (files, expected) in table {
            let file = archive(files);

            let error = ImageArchive::read(file.path()).unwrap_err();

            assert!(format!("{error:#}").ends_with(expected), "{error:#}");
        }
    }

    #[test]
    fn a_file_that_is_not_an_archive_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), &[7; 2048]).unwrap();

        assert!(ImageArchive::read(file.path()).is_err());
        assert!(ImageArchive::read("/nowhere.tar").is_err());
    }
}
