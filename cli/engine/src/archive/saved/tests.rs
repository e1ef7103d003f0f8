use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::*;
use crate::{LAYER_LABEL, archive::ImageArchive};

const LAYER: &[u8] = b"what is in both images";

/// An entry of a test archive.
enum Part<'a> {
    File(&'a str, Vec<u8>),
    Link(&'a str, &'a str),
}
use Part::{File as Regular, Link};

fn tar(parts: &[Part<'_>]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let mut builder = Builder::new(file.reopen().unwrap());
    for part in parts {
        let mut header = Header::new_gnu();
        header.set_mtime(1_700_000_000);
        header.set_mode(0o644);
        match part {
            Regular(name, content) => {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, &content[..]).unwrap();
            }
            Link(name, to) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                builder.append_link(&mut header, name, to).unwrap();
            }
        }
    }
    builder.finish().unwrap();
    file
}

fn json_of(name: &str, content: &Value) -> Part<'static> {
    Regular(name.to_owned().leak(), content.to_string().into_bytes())
}

fn configuration(role: &str) -> Value {
    let layer = format!("sha256:{}", digest(LAYER).unwrap().0);
    json!({ "config": { "Cmd": [role], "Labels": { LAYER_LABEL: layer } } })
}

fn listed(config: &str, tag: &str, layer: &str) -> Value {
    json!({ "Config": config, "RepoTags": [tag], "Layers": [layer] })
}

/// The output of Docker 20.10: a directory for each layer, in any order, with links between them.
fn folders() -> NamedTempFile {
    let list = json!([
        listed("b.json", "r:5000/sg:1", "2/layer.tar"),
        listed("a.json", "r:5000/pcoip-cm:1", "1/layer.tar"),
    ]);
    tar(&[
        Regular("1/VERSION", b"1.0".to_vec()),
        Regular("1/layer.tar", LAYER.to_vec()),
        Regular("2/VERSION", b"1.0".to_vec()),
        Link("2/layer.tar", "../1/layer.tar"),
        json_of("a.json", &configuration("connection-manager")),
        json_of("b.json", &configuration("security-gateway")),
        json_of("manifest.json", &list),
        json_of("repositories", &json!({})),
    ])
}

/// The output of engines that keep compressed layers: files are named by digest.
fn blobs() -> NamedTempFile {
    let list = json!([
        listed("blobs/sha256/a", "r:5000/pcoip-cm:1", "blobs/sha256/c"),
        listed("blobs/sha256/b", "r:5000/sg:1", "blobs/sha256/c"),
    ]);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(LAYER).unwrap();
    tar(&[
        json_of("blobs/sha256/a", &configuration("connection-manager")),
        json_of("blobs/sha256/b", &configuration("security-gateway")),
        Regular("blobs/sha256/c", packed.finish().unwrap()),
        json_of("index.json", &json!({})),
        json_of("manifest.json", &list),
    ])
}

fn rewritten(saved: &NamedTempFile) -> anyhow::Result<NamedTempFile> {
    let own = NamedTempFile::new().unwrap();
    rewrite(saved.as_file(), "1", own.as_file())?;
    Ok(own)
}

fn names(path: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(File::open(path).unwrap());
    let entries = archive.entries().unwrap();
    entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

#[test]
fn the_output_of_any_engine_gives_the_same_archive() {
    let own = rewritten(&folders()).unwrap();
    let other = rewritten(&blobs()).unwrap();

    let bytes = |file: &NamedTempFile| std::fs::read(file.path()).unwrap();
    assert_eq!(bytes(&own), bytes(&other));
    let read = ImageArchive::read(own.path()).unwrap();
    let layer = digest(LAYER).unwrap().0;
    let tags: Vec<_> = read.images.iter().map(|image| image.tag.as_str()).collect();
    assert_eq!(tags, ["localhost/pcoip-cmsg/pcoip-cm:1", "localhost/pcoip-cmsg/sg:1"]);
    assert_eq!(read.image(Role::Sg).unwrap().layer, format!("sha256:{layer}"));
    let config = |role| digest(configuration(role).to_string().as_bytes()).unwrap().0;
    assert_eq!(
        names(own.path()),
        [
            format!("{layer}.tar"),
            format!("{}.json", config("connection-manager")),
            format!("{}.json", config("security-gateway")),
            "manifest.json".to_owned(),
        ]
    );
}

#[test]
fn the_output_of_docker_20_10_can_be_read_unchanged() {
    let saved = folders();

    let read = ImageArchive::read(saved.path()).unwrap();

    assert_eq!(read.image(Role::Cm).unwrap().tag, "r:5000/pcoip-cm:1");
    assert_eq!(read.image(Role::Sg).unwrap().tag, "r:5000/sg:1");
}

#[test]
fn an_incomplete_output_is_refused_with_the_reason() {
    let manager = || json_of("a.json", &configuration("connection-manager"));
    let gateway = || json_of("b.json", &configuration("security-gateway"));
    let one = listed("a.json", "r/pcoip-cm:1", "l.tar");
    let two = listed("b.json", "r/sg:1", "l.tar");
    let layer = |content: &[u8]| Regular("l.tar", content.to_vec());
    let both = || json_of("manifest.json", &json!([one, two]));
    let unnamed = "the layer of the image `r/pcoip-cm:1` does not match the one that it lists";
    let table: [(&[Part<'_>], &str); 6] = [
        (&[manager(), gateway(), layer(LAYER)], "it has no `manifest.json`"),
        (&[manager(), layer(LAYER), both()], "it has no `b.json`"),
        (
            &[manager(), layer(LAYER), json_of("manifest.json", &json!([one]))],
            "it has no image for the security-gateway",
        ),
        (&[manager(), gateway(), layer(b"changed"), both()], unnamed),
        (&[manager(), gateway(), both()], unnamed),
        (&[manager(), gateway(), Link("l.tar", "/etc/passwd"), both()], unnamed),
    ];
    for (parts, expected) in table {
        let error = rewritten(&tar(parts)).unwrap_err();

        assert_eq!(format!("{error:#}"), expected);
    }

    let whole = folders();
    whole.as_file().set_len(1024).unwrap();
    assert!(rewritten(&whole).is_err());
}
