//! Verifies the directory that was unpacked from an archive.

use std::{
    collections::BTreeSet,
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, Read as _, Seek as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use nix::{fcntl::OFlag, unistd::Uid};

use crate::{
    Files, Listed, MANIFEST, Manifest, Problem, SIGNATURE, Watch, digest,
    digest::{Progress, Side},
    manifest,
    problem::shown,
};

pub(crate) fn verify(folder: &Path, watch: &mut Watch<'_>) -> Result<Manifest, Problem> {
    Ok(open(folder, Path::new("/"), &|_| false, watch)?.0)
}

/// Verifies the directory, and keeps the wanted files open. Files that other users could still
/// change are copied to `room`, without a name, while they are compared.
pub(crate) fn open(
    folder: &Path,
    room: &Path,
    wants: &dyn Fn(&Listed) -> bool,
    watch: &mut Watch<'_>,
) -> Result<(Manifest, Files), Problem> {
    let manifest = Manifest::parse(&manifest(folder)?)?;
    let mut left: BTreeSet<_> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    walk(folder, "", &mut |path, kind| look(path, kind, &mut left))?;
    if let Some(missing) = left.into_iter().next() {
        return Err(Problem::Missing(missing.to_owned()));
    }
    let mut progress = Progress { done: 0, total: manifest.bytes(), watch };
    let mut files = Files::new();
    for listed in &manifest.files {
        let is_wanted = wants(listed);
        let room = is_wanted.then_some(room);
        let file = compare((folder, room), listed, &mut progress)?;
        if is_wanted {
            files.insert(listed.path.clone(), file);
        }
    }
    Ok((manifest, files))
}

fn manifest(folder: &Path) -> Result<Vec<u8>, Problem> {
    let path = folder.join(MANIFEST);
    let unreadable = |why| Problem::unreadable(&path, why);
    let file = match open_file(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            return Err(Problem::NotOne(format!("it has no `{MANIFEST}`")));
        }
        file => file.map_err(unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(manifest::LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Visits all files, and the directories that the manifest knows.
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

/// Checks a name. Returns whether it is a directory to visit.
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

/// The kind of a file that is not a regular one.
fn odd(kind: FileType) -> Option<&'static str> {
    let table = [
        (kind.is_symlink(), "a symbolic link"),
        (kind.is_block_device() || kind.is_char_device(), "a device"),
        (kind.is_fifo(), "a pipe"),
        (kind.is_dir(), "a directory"),
        (!kind.is_file(), "a socket"),
    ];
    table.into_iter().find_map(|(is_it, what)| is_it.then_some(what))
}

/// Compares a file, and returns an open file with the same bytes. With `room`, it is a copy that
/// nobody else can change.
fn compare(
    (folder, room): (&Path, Option<&Path>),
    listed: &Listed,
    progress: &mut Progress<'_, '_>,
) -> Result<File, Problem> {
    let path = folder.join(&listed.path);
    let unreadable = |why| Problem::unreadable(&path, why);
    let mut file = open_file(&path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    listed.has_size(metadata.len())?;
    let room = room.filter(|_| !is_only_ours(&metadata));
    let copy = room.map(|room| tempfile::tempfile_in(room).map_err(|why| (room, why))).transpose();
    let mut copy = copy.map_err(|(room, why)| Problem::unwritable(room, why))?;
    let copied = match &mut copy {
        Some(copy) => digest::copy(&mut file, copy, progress),
        None => digest::copy(&mut file, &mut io::sink(), progress),
    };
    let copied = copied.map_err(|side| match (side, room) {
        (Side::Writing(why), Some(room)) => Problem::unwritable(room, why),
        (Side::Reading(why) | Side::Writing(why), _) => unreadable(why),
        (Side::Interrupted, _) => Problem::Interrupted,
    })?;
    listed.is(&copied)?;
    let mut file = copy.unwrap_or(file);
    file.rewind().map_err(unreadable)?;
    Ok(file)
}

/// Whether only root and this user can change the file.
fn is_only_ours(metadata: &Metadata) -> bool {
    let own = [0, Uid::effective().as_raw()].contains(&metadata.uid());
    own && metadata.mode() & 0o022 == 0
}

/// Opens a file without following a link or blocking on a FIFO.
fn open_file(path: &Path) -> io::Result<File> {
    let plainly = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    OpenOptions::new().read(true).custom_flags(plainly.bits()).open(path)
}
