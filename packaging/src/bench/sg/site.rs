//! The directory of a run: keys and certificates, and everything that relays write.

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rcgen::{CertificateParams, KeyPair};

use super::janitor::{Change, Janitor};

/// Makes the directory, which the [`Janitor`] removes.
pub(in crate::bench) fn make(janitor: &Janitor) -> anyhow::Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("pcoip-bench-").tempdir();
    let folder = folder.context("making a temporary folder")?;
    let change = Change::Folder(folder.path().to_owned());
    let folder = janitor.make(&change, || Ok(folder.keep()))?;
    for name in ["tls", "jwt"] {
        let key = KeyPair::generate().context("making a key")?;
        let parameters = CertificateParams::new(["localhost".to_owned()]);
        let signed = parameters.and_then(|parameters| parameters.self_signed(&key));
        let certificate = signed.context("making a certificate")?.pem();
        write(&folder.join(format!("{name}.crt")), &certificate)?;
        write(&folder.join(format!("{name}.key")), &key.serialize_pem())?;
    }
    Ok(folder)
}

/// Writes a new file that only its owner can read.
pub(in crate::bench) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing `{}`", path.display()))
}
