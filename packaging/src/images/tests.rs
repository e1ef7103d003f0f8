use std::{collections::BTreeMap, io::Read as _};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tar::Archive;

use super::archive::archive;

const DAEMON: &[u8] = b"a daemon";

fn files(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = Archive::new(bytes);
    let entries = archive.entries().expect("it is an archive");
    entries
        .map(|entry| {
            let mut entry = entry.expect("the entry is whole");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("the content is whole");
            (entry.path().expect("it has a name").display().to_string(), content)
        })
        .collect()
}

#[test]
fn the_same_daemon_gives_the_same_bytes() {
    let (one, other) = (archive(DAEMON, "1.2.3").unwrap(), archive(DAEMON, "1.2.3").unwrap());

    assert!(one.bytes == other.bytes);
    assert_ne!(one.images, archive(b"another", "1.2.3").unwrap().images);
}

#[test]
fn an_image_is_named_by_its_configuration_and_that_by_its_layer() {
    let archive = archive(DAEMON, "1.2.3").unwrap();

    let files = files(&archive.bytes);
    let list: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let tags: Vec<_> = archive.images.iter().map(|image| image.tag.as_str()).collect();
    assert_eq!(tags, ["localhost/pcoip-cmsg/pcoip-cm:1.2.3", "localhost/pcoip-cmsg/sg:1.2.3"]);
    for (entry, image) in list.as_array().unwrap().iter().zip(&archive.images) {
        assert_eq!(entry["RepoTags"][0], image.tag);
        let configuration = &files[entry["Config"].as_str().unwrap()];
        assert_eq!(image.id, format!("sha256:{:x}", Hex(configuration)));
        let layer = &files[entry["Layers"][0].as_str().unwrap()];
        let configuration: Value = serde_json::from_slice(configuration).unwrap();
        let expected = format!("sha256:{:x}", Hex(layer));
        assert_eq!(configuration["rootfs"]["diff_ids"], serde_json::json!([expected]));
        assert_eq!(configuration["config"]["User"], "65532:65532");
    }
}

#[test]
fn the_daemon_may_bind_a_low_port_as_any_user() {
    let archive = archive(DAEMON, "1.2.3").unwrap();
    let files = files(&archive.bytes);
    let layer = files.iter().find(|(name, _)| name.ends_with(".tar")).expect("a layer").1;

    let mut layer = Archive::new(layer.as_slice());
    let mut entries = layer.entries().unwrap();
    let mut daemon =
        entries.find(|entry| entry.as_ref().unwrap().path().unwrap().ends_with("pcoip-cmsgd"));
    let daemon = daemon.as_mut().unwrap().as_mut().unwrap();
    assert_eq!(daemon.header().mode().unwrap(), 0o755);
    let extensions = daemon.pax_extensions().unwrap().unwrap();
    let capability = extensions.map(Result::unwrap).next().unwrap();
    assert_eq!(capability.key().unwrap(), "SCHILY.xattr.security.capability");
    // As written by `setcap cap_net_bind_service=ep`.
    let mut expected = [0; 20];
    (expected[0], expected[3], expected[5]) = (1, 2, 4);
    assert_eq!(capability.value_bytes(), expected);
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::LowerHex for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Sha256::digest(self.0).iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
