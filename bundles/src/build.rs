//! Builds the archive. The same files give the same bytes, on every host and at any time.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use tar::{EntryType, Header};
use tempfile::NamedTempFile;

use crate::{
    FOLDER, IMAGES, Kind, Listed, MANIFEST, Manifest, PACKAGES, PackageName, Problem, SCRIPT,
    SCRIPT_TEXT, SIGNATURE, Watch, digest,
    digest::{Digesting, Progress, Side},
};

/// The value for Unix in a gzip header (RFC 1952, section 2.3.1).
const UNIX: u8 = 3;

/// The content of a bundle.
pub struct Contents<'a> {
    /// Version of the product.
    pub version: &'a str,
    /// Architecture of the hosts, as RPM calls it.
    pub architecture: &'a str,
    /// The archive of both images.
    pub images: &'a Path,
    /// The packages. Only the file name is used, not the directory.
    pub packages: &'a [PathBuf],
    /// Creates the detached signature of the manifest.
    pub sign: Option<&'a Sign>,
}

/// Signs bytes, and returns the signature.
pub type Sign = dyn Fn(&[u8]) -> io::Result<Vec<u8>>;

/// A finished bundle.
#[derive(Debug)]
pub struct Built {
    pub manifest: Manifest,
    /// Size of the archive in bytes.
    pub bytes: u64,
    /// SHA-256 of the archive in hexadecimal digits.
    pub sha256: String,
}

/// Source of a file in the bundle.
enum From {
    Path(PathBuf),
    Text(&'static str),
}

type Archive = tar::Builder<GzEncoder<Digesting<BufWriter<File>>>>;

/// Builds a bundle. The file appears only when it is complete. `watch` receives the number of
/// processed bytes, which is twice the size of all files: they are read once for their digests and
/// once for the archive.
///
/// # Errors
///
/// [`Problem::Unreadable`], [`Problem::Unwritable`] or [`Problem::Package`], among others.
pub fn build(contents: &Contents<'_>, to: &Path, watch: &mut Watch<'_>) -> Result<Built, Problem> {
    let mut sources = sources(contents)?;
    sources.sort_by(|(one, _), (other, _)| one.path.cmp(&other.path));
    let total = sources.iter().map(|(listed, _)| listed.size).sum::<u64>() * 2;
    let mut progress = Progress { done: 0, total, watch };
    for (listed, from) in &mut sources {
        let mut file = from.open()?;
        let copied = digest::copy(&mut file, &mut io::sink(), &mut progress);
        let copied = copied.map_err(|side| from.failed(to, side))?;
        (listed.size, listed.sha256) = (copied.bytes, copied.sha256);
    }
    let files = sources.iter().map(|(listed, _)| listed.clone()).collect();
    let manifest = Manifest::of(contents.version, contents.architecture, files);
    manifest.check()?;

    let whole = unfinished(to)?;
    let unwritable = |why| Problem::unwritable(to, why);
    let text = manifest.text().map_err(|why| unwritable(why.into()))?;
    let mut archive = start(whole.reopen().map_err(unwritable)?);
    append(&mut archive, MANIFEST, 0o644, text.as_bytes()).map_err(unwritable)?;
    if let Some(sign) = contents.sign {
        let signature = sign(text.as_bytes()).map_err(Problem::Unsigned)?;
        append(&mut archive, SIGNATURE, 0o644, &signature).map_err(unwritable)?;
    }
    for (listed, from) in &sources {
        add(&mut archive, (listed, from), to, &mut progress)?;
    }
    let digesting = archive.into_inner().and_then(GzEncoder::finish).map_err(unwritable)?;
    let (mut file, sha256) = digesting.finish();
    file.flush().map_err(unwritable)?;
    let bytes = file.get_ref().metadata().map_err(unwritable)?.len();
    file.get_ref().sync_all().map_err(unwritable)?;
    whole.persist(to).map_err(|why| unwritable(why.error))?;
    Ok(Built { manifest, bytes, sha256 })
}

/// A temporary file in the same directory, which is renamed when complete and otherwise removed.
fn unfinished(to: &Path) -> Result<NamedTempFile, Problem> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let file = tempfile::Builder::new()
        .prefix(".pcoip-cmsg-bundle-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder.unwrap_or(Path::new(".")));
    file.map_err(|why| Problem::unwritable(to, why))
}

fn start(file: File) -> Archive {
    let header = GzBuilder::new().mtime(0).operating_system(UNIX);
    tar::Builder::new(header.write(Digesting::new(BufWriter::new(file)), Compression::default()))
}

/// All files with their sizes, but without digests.
fn sources(contents: &Contents<'_>) -> Result<Vec<(Listed, From)>, Problem> {
    let listed = |path: String, size, kind, version: &str| Listed {
        path,
        size,
        sha256: String::new(),
        kind,
        version: version.to_owned(),
    };
    let version = contents.version;
    let images = From::Path(contents.images.to_owned());
    let script = From::Text(SCRIPT_TEXT);
    let mut all = vec![
        (listed(IMAGES.to_owned(), images.size()?, Kind::Images, version), images),
        (listed(SCRIPT.to_owned(), script.size()?, Kind::Script, version), script),
    ];
    for path in contents.packages {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = fitting(&file, contents.architecture)
            .map_err(|why| Problem::Package { name: file.clone(), why })?;
        let version = format!("{}-{}", name.version, name.release);
        let from = From::Path(path.clone());
        let place = format!("{PACKAGES}/{file}");
        all.push((listed(place, from.size()?, Kind::Package, &version), from));
    }
    Ok(all)
}

/// Parses the name of a package, and checks that it fits into the bundle.
fn fitting(file: &str, architecture: &str) -> Result<PackageName, String> {
    /// Longest file name in bytes; tar stores directory and file name in separate fields.
    const LONGEST: usize = 100;
    let name = PackageName::parse(file)
        .ok_or("its file is not named `NAME-VERSION-RELEASE.ARCHITECTURE.rpm`")?;
    if file.len() > LONGEST {
        return Err(format!("its file's name is longer than {LONGEST} bytes"));
    }
    if ![architecture, "noarch"].contains(&name.architecture.as_str()) {
        return Err(format!("it is for `{}`, not for `{architecture}`", name.architecture));
    }
    Ok(name)
}

/// Adds a file, with the size that it had when its digest was computed.
fn add(
    archive: &mut Archive,
    (listed, from): (&Listed, &From),
    to: &Path,
    progress: &mut Progress<'_, '_>,
) -> Result<(), Problem> {
    let unwritable = |why| Problem::unwritable(to, why);
    let header = header(&listed.path, listed.kind.mode(), listed.size).map_err(unwritable)?;
    let sink = archive.get_mut();
    sink.write_all(header.as_bytes()).map_err(unwritable)?;
    let mut file = from.open()?.take(listed.size + 1);
    let copied = digest::copy(&mut file, sink, progress).map_err(|side| from.failed(to, side))?;
    listed.is(&copied)?;
    let full = usize::try_from(listed.size % 512).unwrap_or_default();
    sink.write_all(&[0; 512][full..][..(512 - full) % 512]).map_err(unwritable)?;
    progress.check()
}

fn append(archive: &mut Archive, path: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    archive.append(&header(path, mode, bytes.len() as u64)?, bytes)
}

/// An entry that is owned by root and has the time 0.
fn header(path: &str, mode: u32, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(format!("{FOLDER}/{path}"))?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

impl From {
    fn open(&self) -> Result<Box<dyn io::Read>, Problem> {
        Ok(match self {
            Self::Path(path) => {
                Box::new(File::open(path).map_err(|why| Problem::unreadable(path, why))?)
            }
            Self::Text(text) => Box::new(text.as_bytes()),
        })
    }

    fn size(&self) -> Result<u64, Problem> {
        match self {
            Self::Text(text) => Ok(text.len() as u64),
            Self::Path(path) => {
                let metadata = path.metadata().map_err(|why| Problem::unreadable(path, why))?;
                if metadata.is_file() {
                    return Ok(metadata.len());
                }
                Err(Problem::unreadable(path, io::Error::other("is not a regular file")))
            }
        }
    }

    fn failed(&self, to: &Path, side: Side) -> Problem {
        match (side, self) {
            (Side::Interrupted, _) => Problem::Interrupted,
            (Side::Reading(why), Self::Path(path)) => Problem::unreadable(path, why),
            (Side::Reading(why) | Side::Writing(why), _) => Problem::unwritable(to, why),
        }
    }
}

impl Kind {
    /// Permissions of the file.
    pub(crate) fn mode(self) -> u32 {
        if self == Self::Script { 0o755 } else { 0o644 }
    }
}
