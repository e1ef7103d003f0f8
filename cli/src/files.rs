//! Reads files that others wrote: a pipe, a device or a huge file gets its answer at once.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use nix::fcntl::OFlag;

use crate::content::Content;

/// Certificates with their chains, configurations and answers are far smaller.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a whole file.
///
/// # Errors
///
/// What the system says, or why the file is not read.
pub(crate) fn read(path: &Path) -> io::Result<Content> {
    // To open some devices is to start them.
    check(&path.metadata()?)?;
    // Opening a pipe would wait for a writer; one may have taken the file's place.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    read_from(file)
}

/// Reads a whole file that is open.
///
/// # Errors
///
/// As above.
pub(crate) fn read_from(file: File) -> io::Result<Content> {
    let metadata = file.metadata()?;
    check(&metadata)?;
    // A buffer that grows would leave pieces of a key behind.
    let length = usize::try_from(metadata.len()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(length + 1);
    // Files that the kernel makes up have no length.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(too_long());
    }
    Ok(bytes.into())
}

/// Whether others than its owner may read a file.
pub(crate) fn is_exposed(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

/// Whether nothing is there, be it that a file stands where a folder should.
pub(crate) fn is_away(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn check(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        Err(io::Error::other("is not a regular file"))
    } else if metadata.len() > MAX_BYTES {
        Err(too_long())
    } else {
        Ok(())
    }
}

fn too_long() -> io::Error {
    io::Error::other(format!("is larger than {MAX_BYTES} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_small_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let huge = folder.path().join("huge");
        File::create(&huge).unwrap().set_len(3 << 30).unwrap();
        let table = [
            (folder.path(), "is not a regular file"),
            (&pipe, "is not a regular file"),
            (Path::new("/dev/zero"), "is not a regular file"),
            (&huge, "is larger than 1048576 bytes"),
            (&folder.path().join("none"), "No such file or directory (os error 2)"),
        ];
        for (path, why) in table {
            assert_eq!(read(path).unwrap_err().to_string(), why, "{}", path.display());
        }
    }
}
