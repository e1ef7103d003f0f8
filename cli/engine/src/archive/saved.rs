//! Converts the output of `docker save` for both images into the archive as it was built, with the
//! same bytes for any engine version.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom, Write},
};

use anyhow::{Context as _, bail};
use cmsg_config::socket::Role;
use flate2::read::MultiGzDecoder;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::{ArchivedImage, LARGEST, Listed, MOST, image};
use crate::{LOCAL, reference};

/// Maximum size of a layer in bytes.
const LARGEST_LAYER: u64 = 4 << 30;
/// First bytes of gzip data; some engines save layers as the registry delivered them.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The output of `docker save`.
struct Saved<'a> {
    file: &'a File,
    /// Positions of the regular files.
    places: BTreeMap<String, Span>,
}

#[derive(Clone, Copy)]
struct Span {
    at: u64,
    size: u64,
}

/// A layer, with its uncompressed length.
struct Layer {
    place: Span,
    size: u64,
}

/// An image in the list of the archive.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    layers: [String; 1],
    repo_tags: [String; 1],
}

/// Writes both images of a version, from the output of `docker save`, as an archive of this
/// product.
///
/// # Errors
///
/// If the input cannot be read, or a layer does not match the digest in its image.
pub fn rewrite(saved: &File, version: &str, to: impl Write) -> anyhow::Result<()> {
    let saved = Saved::open(saved)?;
    let list = saved.small("manifest.json")?;
    let list: Vec<Listed> = serde_json::from_slice(&list)?;
    let layers = saved.layers(&list)?;
    let images = [saved.image(&list, Role::Cm)?, saved.image(&list, Role::Sg)?];

    let mut archive = Builder::new(to);
    let mut entries: Vec<Entry> = Vec::new();
    for (image, configuration) in &images {
        let name = format!("{}.tar", image.layer.trim_start_matches("sha256:"));
        if !entries.iter().any(|entry| entry.layers[0] == name) {
            let Some(Layer { place, size }) = layers.get(&image.layer) else {
                bail!(
                    "the layer of the image `{}` does not match the one that it lists",
                    image.tag
                );
            };
            append(&mut archive, &name, *size, saved.layer(*place)?)?;
        }
        entries.push(Entry {
            config: format!("{}.json", digest(&configuration[..])?.0),
            layers: [name],
            repo_tags: [reference(LOCAL, image.role, version)],
        });
    }
    let list = serde_json::to_vec(&entries)?;
    let configurations = images.iter().map(|(_, configuration)| configuration);
    let names = entries.iter().map(|entry| entry.config.as_str());
    for (name, content) in names.zip(configurations).chain([("manifest.json", &list)]) {
        append(&mut archive, name, content.len() as u64, &content[..])?;
    }
    Ok(archive.into_inner()?.flush()?)
}

impl<'a> Saved<'a> {
    fn open(file: &'a File) -> anyhow::Result<Self> {
        let mut from = file;
        from.seek(SeekFrom::Start(0))?;
        let mut places = BTreeMap::new();
        for entry in tar::Archive::new(from).entries_with_seek()?.take(MOST) {
            let entry = entry?;
            if entry.header().entry_type() == EntryType::Regular {
                let place = Span { at: entry.raw_file_position(), size: entry.size() };
                places.insert(entry.path()?.display().to_string(), place);
            }
        }
        Ok(Self { file, places })
    }

    /// All layers by the names that images use. A shared layer is stored once, and linked to
    /// elsewhere.
    fn layers(&self, list: &[Listed]) -> anyhow::Result<BTreeMap<String, Layer>> {
        let names = list.iter().flat_map(|listed| &listed.layers);
        let places = names.filter_map(|name| self.places.get(name));
        let layer = |place: &Span| {
            let (digest, size) = digest(self.layer(*place)?)?;
            Ok((format!("sha256:{digest}"), Layer { place: *place, size }))
        };
        places.map(layer).collect()
    }

    /// The image of a role, and its configuration.
    fn image(&self, list: &[Listed], role: Role) -> anyhow::Result<(ArchivedImage, Vec<u8>)> {
        for listed in list {
            let configuration = self.small(&listed.config)?;
            let small = BTreeMap::from([(listed.config.clone(), configuration)]);
            let image = image(listed, &small)?;
            if image.role == role {
                return Ok((image, small.into_values().next().unwrap_or_default()));
            }
        }
        bail!("it has no image for the {}", role.command())
    }

    /// Reads a list or a configuration.
    fn small(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let place = self.places.get(name).with_context(|| format!("it has no `{name}`"))?;
        let mut content = Vec::new();
        self.read(*place)?.take(LARGEST).read_to_end(&mut content)?;
        Ok(content)
    }

    /// An uncompressed layer.
    fn layer(&self, place: Span) -> io::Result<Box<dyn Read + '_>> {
        let mut begin = Vec::new();
        self.read(place)?.take(GZIP.len() as u64).read_to_end(&mut begin)?;
        let from = self.read(place)?.take(LARGEST_LAYER);
        let is_packed = begin == GZIP;
        Ok(if is_packed {
            Box::new(MultiGzDecoder::new(from).take(LARGEST_LAYER))
        } else {
            Box::new(from)
        })
    }

    fn read(&self, place: Span) -> io::Result<BufReader<io::Take<&'a File>>> {
        let mut from = self.file;
        from.seek(SeekFrom::Start(place.at))?;
        Ok(BufReader::new(from.take(place.size)))
    }
}

/// The digest in hexadecimal digits, and the number of bytes.
fn digest(mut from: impl Read) -> io::Result<(String, u64)> {
    let mut digesting = Digesting(Sha256::new());
    let size = io::copy(&mut from, &mut digesting)?;
    let digest = digesting.0.finalize();
    Ok((digest.iter().map(|byte| format!("{byte:02x}")).collect(), size))
}

struct Digesting(Sha256);

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds an entry that is owned by root and has the time 0.
fn append(
    archive: &mut Builder<impl Write>,
    name: &str,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    archive.append_data(&mut header, name, content)
}

#[cfg(test)]
mod tests;
