//! The digests of all artifacts, in the format of `sha256sum --check`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

pub(super) const NAME: &str = "SHA256SUMS";

/// Writes the file into the directory.
pub(super) fn make(folder: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for file in files(folder)? {
        let path = folder.join(&file);
        let digest = digest(&path).with_context(|| format!("reading `{}`", path.display()))?;
        text += &format!("{digest}  {}\n", file.display());
    }
    super::write(&folder.join(NAME), text)
}

/// All files below a directory, by relative path, sorted.
pub(super) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut file = io::BufReader::with_capacity(1 << 16, fs::File::open(path)?);
    loop {
        let bytes = io::BufRead::fill_buf(&mut file)?;
        if bytes.is_empty() {
            break;
        }
        digest.update(bytes);
        let read = bytes.len();
        io::BufRead::consume(&mut file, read);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
