//! Files that are reloaded while in use: the configuration file, certificates, keys and CA
//! certificates. A command on the unix socket reloads all of them, or none if one is invalid.

use std::{
    fmt,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use arc_swap::ArcSwap;
use cmsg_config::cause;

use crate::clock;

/// A file or directory in the configuration that is unusable until somebody changes it or the
/// configuration.
#[derive(Debug)]
pub struct BadFile {
    path: PathBuf,
    why: anyhow::Error,
}

impl BadFile {
    /// `path` is unusable because of `why`.
    pub(crate) fn new(path: &Path, why: anyhow::Error) -> Self {
        Self { path: path.to_owned(), why }
    }

    /// The same for an error of the system. A temporary one, such as a full disk, is returned
    /// unchanged.
    pub(crate) fn unless_passing(path: &Path, error: io::Error) -> anyhow::Error {
        if !is_lasting(&error) {
            return error.into();
        }
        Self::new(path, anyhow::Error::msg(cause::of_io(&error))).into()
    }

    /// The path as in the configuration.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl std::error::Error for BadFile {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.why.source()
    }
}

/// Whether a file is missing or not accessible, which a retry does not fix.
pub(crate) fn is_lasting(error: &io::Error) -> bool {
    use ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(
        error.kind(),
        NotFound | NotADirectory | IsADirectory | PermissionDenied | ReadOnlyFilesystem
    )
}

/// Reads a file again, and returns a function that activates the new content.
type Reader = Box<dyn Fn() -> anyhow::Result<Activate> + Send + Sync>;
type Activate = Box<dyn FnOnce()>;

/// The reloadable files of a role.
#[derive(Default)]
pub struct Files {
    readers: Mutex<Vec<Reader>>,
    /// Time of the last reload, in milliseconds since the Unix epoch.
    read: AtomicU64,
}

impl Files {
    /// Reads a value, and again at every reload.
    ///
    /// # Errors
    ///
    /// If the first read fails.
    pub fn keep<T: Send + Sync + 'static>(
        &self,
        read: impl Fn() -> anyhow::Result<T> + Send + Sync + 'static,
    ) -> anyhow::Result<Arc<ArcSwap<T>>> {
        self.read.store(clock::now().as_millis(), Relaxed);
        let kept = Arc::new(ArcSwap::from_pointee(read()?));
        let value = Arc::clone(&kept);
        self.readers().push(Box::new(move || {
            let (value, read) = (Arc::clone(&value), Arc::new(read()?));
            Ok(Box::new(move || value.store(read)))
        }));
        Ok(kept)
    }

    /// Reads a file at every reload, but not now.
    pub(crate) fn follow(
        &self,
        read: impl Fn() -> anyhow::Result<Activate> + Send + Sync + 'static,
    ) {
        self.readers().push(Box::new(read));
    }

    /// Reads all files again. If one is invalid, none is replaced.
    ///
    /// # Errors
    ///
    /// Which file is invalid, and why.
    pub fn reload(&self) -> anyhow::Result<()> {
        let readers = self.readers();
        let begun = clock::now().as_millis();
        let ready: Vec<_> = readers.iter().map(|read| read()).collect::<anyhow::Result<_>>()?;
        ready.into_iter().for_each(|put_in_place| put_in_place());
        self.read.store(begun, Relaxed);
        Ok(())
    }

    /// Time of the last reload, in milliseconds since the Unix epoch.
    pub fn read_at(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Ignores poisoning: readers are only ever added.
    fn readers(&self) -> MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.readers().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI32;

    use anyhow::bail;

    use super::*;

    #[test]
    fn all_files_are_reloaded_or_none() {
        let files = Files::default();
        let source = Arc::new([AtomicI32::new(1), AtomicI32::new(1)]);
        let read = |index: usize| {
            let source = Arc::clone(&source);
            move || match source[index].load(Relaxed) {
                number if number < 0 => bail!("file {index} is damaged"),
                number => Ok(number),
            }
        };
        let one = files.keep(read(0)).unwrap();
        let other = files.keep(read(1)).unwrap();
        let values = || (**one.load(), **other.load());

        source[0].store(2, Relaxed);
        source[1].store(-1, Relaxed);
        let refused = files.reload().unwrap_err().to_string();
        assert_eq!((refused.as_str(), values()), ("file 1 is damaged", (1, 1)));

        source[1].store(3, Relaxed);
        files.reload().unwrap();
        assert_eq!(values(), (2, 3));
    }
}
