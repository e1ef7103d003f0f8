//! Reads the archive. Its first entry is the manifest, and only entries that the manifest lists are
//! accepted. The name of an entry never becomes a path, and its size must match the manifest.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read, Seek as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use flate2::bufread::GzDecoder;
use tar::{Entry, EntryType};
use tempfile::TempDir;

use crate::{
    FOLDER, Files, Listed, MANIFEST, Manifest, Problem, SIGNATURE, Watch, digest,
    digest::{Copied, Progress, Side},
    manifest,
    problem::shown,
};

const BUFFER: usize = 64 * 1024;
/// Maximum size of a signature in bytes.
const LONGEST_SIGNATURE: u64 = 64 * 1024;
/// Maximum padding after the end of an archive in bytes; archivers fill the last block.
const PADDING: u64 = 1024 * 1024;

/// An unpacked archive. Dropping it removes its directory.
#[derive(Debug)]
pub struct Unpacked {
    pub manifest: Manifest,
    /// The unpacked files by their path in the directory: the files that were verified, open at
    /// their start.
    pub files: Files,
    pub(crate) folder: TempDir,
}

impl Unpacked {
    /// The directory with the files of the bundle.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Verifies an archive and unpacks the wanted files into a new directory below `into`. Leaves
/// nothing behind if it fails.
///
/// # Errors
///
/// [`Problem`]: the first one in the archive.
pub fn unpack(
    archive: &Path,
    into: &Path,
    wants: &dyn Fn(&Listed) -> bool,
    watch: &mut Watch<'_>,
) -> Result<Unpacked, Problem> {
    let folder = tempfile::Builder::new().prefix("pcoip-cmsg-bundle-").tempdir_in(into);
    let folder = folder.map_err(|why| Problem::unwritable(into, why))?;
    let sink = |listed: &Listed| {
        if wants(listed) { create(folder.path(), listed) } else { Ok(Sink::Nowhere) }
    };
    let (manifest, files) = read(archive, &sink, watch)?;
    Ok(Unpacked { manifest, files, folder })
}

/// Verifies an archive without writing anything.
pub(crate) fn verify(archive: &Path, watch: &mut Watch<'_>) -> Result<Manifest, Problem> {
    Ok(read(archive, &|_| Ok(Sink::Nowhere), watch)?.0)
}

/// Destination of an entry's bytes.
enum Sink {
    Nowhere,
    File(File),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Nowhere => Ok(bytes.len()),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Creates a file below the directory.
fn create(folder: &Path, listed: &Listed) -> Result<Sink, Problem> {
    // Paths in the manifest cannot leave the directory.
    let path = folder.join(&listed.path);
    let file = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(listed.kind.mode())
            .open(&path)
    });
    file.map(Sink::File).map_err(|why| Problem::unwritable(&path, why))
}

fn read(
    archive: &Path,
    sink: &dyn Fn(&Listed) -> Result<Sink, Problem>,
    watch: &mut Watch<'_>,
) -> Result<(Manifest, Files), Problem> {
    let file = open(archive)?;
    let plain = GzDecoder::new(BufReader::with_capacity(BUFFER, file));
    if plain.header().is_none() {
        return Err(Problem::NotOne("it is not a gzip archive".to_owned()));
    }
    let mut archive = tar::Archive::new(plain);
    // Without `raw`, names and sizes of any length would be read from extension entries.
    let mut entries = archive.entries().map_err(|why| Problem::of_archive(&why))?.raw(true);
    let mut next = || entries.next().transpose().map_err(|why| Problem::of_archive(&why));

    let first = match next() {
        Err(Problem::Damaged(_)) => {
            Err(Problem::NotOne("it does not contain a tar archive".to_owned()))
        }
        Ok(None) => Err(Problem::NotOne("it is empty".to_owned())),
        Ok(Some(first)) => Ok(first),
        Err(problem) => Err(problem),
    }?;
    let manifest = read_manifest(first)?;
    let mut left: BTreeMap<_, _> =
        manifest.files.iter().map(|listed| (listed.path.as_str(), listed)).collect();
    let mut progress = Progress { done: 0, total: manifest.bytes(), watch };
    let (mut is_signed, mut files) = (false, Files::new());
    while let Some(mut entry) = next()? {
        let name = name(&entry)?;
        if name == SIGNATURE && !is_signed {
            is_signed = true;
            skip_signature(&entry)?;
            continue;
        }
        let listed = left.remove(name.as_str()).ok_or_else(|| Problem::Besides(name.clone()))?;
        if let Sink::File(file) = take(&mut entry, listed, sink, &mut progress)? {
            files.insert(name, file);
        }
    }
    end(archive.into_inner())?;
    if let Some(missing) = left.into_keys().next() {
        return Err(Problem::Missing(missing.to_owned()));
    }
    Ok((manifest, files))
}

/// Opens a regular file, but neither a FIFO, which would block, nor a device, which could have side
/// effects.
fn open(path: &Path) -> Result<File, Problem> {
    let unreadable = |why| Problem::unreadable(path, why);
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::other("is neither a regular file nor a directory")));
    }
    File::open(path).map_err(unreadable)
}

fn read_manifest(mut entry: Entry<'_, impl Read>) -> Result<Manifest, Problem> {
    let name = name(&entry)?;
    if name != MANIFEST {
        return Err(Problem::NotOne(format!("its first file is `{name}`, not `{MANIFEST}`")));
    }
    if entry.size() > manifest::LONGEST {
        let why = format!("its `{MANIFEST}` has {} bytes", entry.size());
        return Err(Problem::NotOne(why));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|why| Problem::of_archive(&why))?;
    Manifest::parse(&bytes)
}

/// The path of a regular file in the bundle's directory.
fn name(entry: &Entry<'_, impl Read>) -> Result<String, Problem> {
    let bytes = entry.path_bytes();
    let text = shown(&bytes);
    let whole = text.strip_prefix("./").unwrap_or(&text);
    let inside = whole.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/'));
    let is_inside = |rest: &&str| !rest.split('/').any(|part| part == "..");
    let inside = inside.filter(is_inside).ok_or_else(|| Problem::LeadsOut(text.clone()))?;
    if let Some(what) = odd(entry.header().entry_type()) {
        return Err(Problem::NotRegular { path: inside.to_owned(), what });
    }
    Ok(inside.to_owned())
}

/// The kind of an entry that is not a regular file.
fn odd(kind: EntryType) -> Option<&'static str> {
    Some(match kind {
        EntryType::Regular => return None,
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::Directory => "a directory entry",
        EntryType::GNUSparse => "a sparse file",
        _ => "an extension entry",
    })
}

/// Skips the signature, which is for administrators and `openssl`. The digests of the manifest are
/// what this module verifies.
fn skip_signature(entry: &Entry<'_, impl Read>) -> Result<(), Problem> {
    match entry.size() {
        size if size > LONGEST_SIGNATURE => {
            Err(Problem::NotOne(format!("its `{SIGNATURE}` has {size} bytes")))
        }
        _ => Ok(()),
    }
}

/// Reads a file and compares it with the manifest.
fn take(
    entry: &mut Entry<'_, impl Read>,
    listed: &Listed,
    sink: &dyn Fn(&Listed) -> Result<Sink, Problem>,
    progress: &mut Progress<'_, '_>,
) -> Result<Sink, Problem> {
    listed.has_size(entry.size())?;
    let mut sink = sink(listed)?;
    let copied = digest::copy(entry, &mut sink, progress).map_err(|side| match side {
        Side::Reading(why) => Problem::of_archive(&why),
        Side::Writing(why) => Problem::unwritable(Path::new(&listed.path), why),
        Side::Interrupted => Problem::Interrupted,
    })?;
    listed.is(&copied)?;
    if let Sink::File(file) = &mut sink {
        file.rewind().map_err(|why| Problem::unwritable(Path::new(&listed.path), why))?;
    }
    Ok(sink)
}

/// Reads to the end of the gzip stream, where its checksum is. Nothing may follow it.
fn end<R: io::BufRead>(plain: GzDecoder<R>) -> Result<(), Problem> {
    let mut plain = plain;
    let of_archive = |why| Problem::of_archive(&why);
    let padding = io::copy(&mut plain.by_ref().take(PADDING + 1), &mut io::sink());
    if padding.map_err(of_archive)? > PADDING {
        return Err(Problem::Damaged("there is data after its end".to_owned()));
    }
    let mut file = plain.into_inner();
    if !file.fill_buf().map_err(of_archive)?.is_empty() {
        return Err(Problem::Damaged("there is data after its end".to_owned()));
    }
    Ok(())
}

impl Listed {
    pub(crate) fn has_size(&self, found: u64) -> Result<(), Problem> {
        if found == self.size {
            return Ok(());
        }
        Err(Problem::Size { path: self.path.clone(), expected: self.size, found })
    }

    pub(crate) fn is(&self, copied: &Copied) -> Result<(), Problem> {
        self.has_size(copied.bytes)?;
        if copied.sha256 == self.sha256 {
            return Ok(());
        }
        let (expected, found) = (self.sha256.clone(), copied.sha256.clone());
        Err(Problem::Digest { path: self.path.clone(), expected, found })
    }
}
