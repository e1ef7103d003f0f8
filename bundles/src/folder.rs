//! Verifies the folder that came out of an archive.

use std::{
    collections::BTreeSet,
    fs::{self, File, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::fcntl::OFlag;

use crate::{
    Listed, MANIFEST, Manifest, Problem, SIGNATURE, Watch, digest,
    digest::{Progress, Side},
    manifest,
    problem::shown,
};

pub(crate) fn verify(folder: &Path, watch: &mut Watch<'_>) -> Result<Manifest, Problem> {
    let manifest = Manifest::parse(&manifest(folder)?)?;
    let mut left: BTreeSet<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    walk(folder, "", &mut |path, kind| look(path, kind, &mut left))?;
    if let Some(missing) = left.into_iter().next() {
        return Err(Problem::Missing(missing.to_owned()));
    }
    let mut progress = Progress { done: 0, total: manifest.bytes(), watch };
    for listed in &manifest.files {
        compare(folder, listed, &mut progress)?;
    }
    Ok(manifest)
}

fn manifest(folder: &Path) -> Result<Vec<u8>, Problem> {
    let path = folder.join(MANIFEST);
    let unreadable = |why| Problem::unreadable(&path, why);
    let file = match open(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            return Err(Problem::NotOne(format!("it has no `{MANIFEST}`")));
        }
        file => file.map_err(unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(manifest::LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Goes through all files, and through the folders that the manifest knows.
fn walk(
    folder: &Path,
    within: &str,
    look: &mut dyn FnMut(&str, FileType) -> Result<bool, Problem>,
) -> Result<(), Problem> {
    let unreadable = |why| Problem::unreadable(folder, why);
    let mut entries = fs::read_dir(folder)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = shown(entry.file_name().as_encoded_bytes());
        let path = format!("{within}{name}");
        let kind = entry.file_type().map_err(unreadable)?;
        if look(&path, kind)? {
            walk(&entry.path(), &format!("{path}/"), look)?;
        }
    }
    Ok(())
}

/// Judges a name; answers whether it is a folder to go through.
fn look(path: &str, kind: FileType, left: &mut BTreeSet<&str>) -> Result<bool, Problem> {
    let inside = format!("{path}/");
    if kind.is_dir() && left.iter().any(|listed| listed.starts_with(&inside)) {
        return Ok(true);
    }
    let is_known = left.contains(path) || [MANIFEST, SIGNATURE].contains(&path);
    if !is_known {
        return Err(Problem::Besides(path.to_owned()));
    }
    if let Some(what) = odd(kind) {
        return Err(Problem::NotRegular { path: path.to_owned(), what });
    }
    left.remove(path);
    Ok(false)
}

/// What a file is, if it is no regular one.
fn odd(kind: FileType) -> Option<&'static str> {
    let table = [
        (kind.is_symlink(), "a symbolic link"),
        (kind.is_block_device() || kind.is_char_device(), "a device"),
        (kind.is_fifo(), "a pipe"),
        (kind.is_dir(), "a folder"),
        (!kind.is_file(), "a socket"),
    ];
    table.into_iter().find_map(|(is_it, what)| is_it.then_some(what))
}

fn compare(folder: &Path, listed: &Listed, progress: &mut Progress<'_, '_>) -> Result<(), Problem> {
    let path = folder.join(&listed.path);
    let unreadable = |why| Problem::unreadable(&path, why);
    let mut file = open(&path).map_err(unreadable)?;
    listed.has_size(file.metadata().map_err(unreadable)?.len())?;
    let copied = digest::copy(&mut file, &mut io::sink(), progress);
    let copied = copied.map_err(|side| match side {
        Side::Reading(why) | Side::Writing(why) => unreadable(why),
        Side::Interrupted => Problem::Interrupted,
    })?;
    listed.is(&copied)
}

/// Opens neither a link nor, waiting for its other end, a pipe that took a file's place.
fn open(path: &Path) -> io::Result<File> {
    let plainly = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(plainly.bits()).open(path)
}
