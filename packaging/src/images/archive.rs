//! The format of `docker load`: a tar file with the layer, a configuration for each image, and a
//! list of the images. The id of an image is the digest of its configuration, so it covers every
//! byte.

use std::io;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType};

use super::layer::{DAEMON, header, layer};

/// No such registry exists, so the engine never looks for the images elsewhere.
const REGISTRY: &str = "localhost/pcoip-cmsg";

/// The images: name, subcommand of the daemon, and title.
const IMAGES: &[(&str, &str, &str)] = &[
    ("pcoip-cm", "connection-manager", "PCoIP Connection Manager"),
    ("sg", "security-gateway", "PCoIP Security Gateway"),
];

/// Unprivileged default; the stack file sets the host's service account.
const USER: &str = "65532:65532";

/// The archive of both images.
pub(super) struct Archive {
    pub(super) bytes: Vec<u8>,
    pub(super) images: Vec<Image>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(super) tag: String,
    pub(super) id: String,
}

/// Creates both images from a static daemon.
pub(super) fn archive(binary: &[u8], version: &str) -> io::Result<Archive> {
    let layer = layer(binary)?;
    let layer_digest = hex(&layer);
    let layer_name = format!("{layer_digest}.tar");
    let mut builder = Builder::new(Vec::with_capacity(layer.len() + 64 * 1024));
    append(&mut builder, &layer_name, &layer)?;
    let (mut images, mut list) = (Vec::new(), Vec::new());
    for (name, command, title) in IMAGES {
        let configuration = configuration(command, title, version, &layer_digest).to_string();
        let digest = hex(configuration.as_bytes());
        let file = format!("{digest}.json");
        append(&mut builder, &file, configuration.as_bytes())?;
        let tag = format!("{REGISTRY}/{name}:{version}");
        list.push(json!({ "Config": file, "RepoTags": [tag], "Layers": [layer_name] }));
        images.push(Image { tag, id: format!("sha256:{digest}") });
    }
    append(&mut builder, "manifest.json", Value::from(list).to_string().as_bytes())?;
    Ok(Archive { bytes: builder.into_inner()?, images })
}

fn configuration(command: &str, title: &str, version: &str, layer_digest: &str) -> Value {
    const NO_TIME: &str = "1970-01-01T00:00:00Z";
    json!({
        "architecture": "amd64",
        "os": "linux",
        "created": NO_TIME,
        "config": {
            "User": USER,
            "Entrypoint": [DAEMON],
            "Cmd": [command],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": title,
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.licenses": "Apache-2.0",
                "pcoip-cmsg.layer": format!("sha256:{layer_digest}"),
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer_digest}")] },
        "history": [{ "created": NO_TIME, "created_by": "cargo xtask images" }],
    })
}

fn append(builder: &mut Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let size = u64::try_from(bytes.len()).map_err(io::Error::other)?;
    builder.append_data(&mut header(EntryType::Regular, 0o644, size), name, bytes)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
