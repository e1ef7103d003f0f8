//! Reads files that others wrote: a pipe, a device or a huge file gets its answer at once.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use nix::fcntl::OFlag;

use crate::content::Content;

/// Certificates with their chains, configurations and answers are far smaller.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a whole file.
///
/// # Errors
///
/// What the system says, or why the file is not read.
pub(crate) fn read(path: &Path) -> io::Result<Content> {
    // Opening a pipe would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(io::Error::other(format!("has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

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
            (&huge, "has more than 1048576 bytes"),
            (&folder.path().join("none"), "No such file or directory (os error 2)"),
        ];
        for (path, why) in table {
            assert_eq!(read(path).unwrap_err().to_string(), why, "{}", path.display());
        }
    }
}
