//! One installer at a time: a lock file under the root of the installation, which is gone
//! afterwards.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

/// The right to change the installation under one root.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    made: Vec<PathBuf>,
    _file: File,
}

impl Lock {
    /// Takes the lock; the root is made if it is not there.
    ///
    /// # Errors
    ///
    /// Where another installer holds it, or the root cannot be used.
    pub(crate) fn take(root: &Path) -> anyhow::Result<Self> {
        let mut made: Vec<_> =
            root.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        made.reverse();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(|| format!("failed to make `{}`", root.display()))?;

        let path = root.join(".pcoip-cmsg-setup.lock");
        let locking = || format!("failed to lock `{}`", path.display());
        loop {
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .with_context(locking)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    bail!("another installer is at work under `{}`", root.display())
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(locking),
            }
            // Whoever held it before may have removed it after we opened it.
            if is_in_place(&file, &path).with_context(locking)? {
                return Ok(Self { path, made, _file: file });
            }
        }
    }

    /// The folders that were made for it, outer ones first.
    pub(crate) fn made(&self) -> &[PathBuf] {
        &self.made
    }

    /// Gives the lock back, and removes those of these folders that are empty then: the ones around
    /// the lock file could not be removed before.
    pub(crate) fn release(mut self, folders: Vec<PathBuf>) {
        self.made = folders;
        self.made.sort_by_key(|folder| folder.components().count());
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        for folder in self.made.iter().rev() {
            // Fails where something was installed in it, as it should.
            let _ = fs::remove_dir(folder);
        }
    }
}

fn is_in_place(file: &File, path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        result => {
            let (there, ours) = (result?, file.metadata()?);
            Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_installer_is_refused_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");

        let first = Lock::take(&root).unwrap();
        let second = Lock::take(&root).unwrap_err();

        assert_eq!(first.made(), [folder.path().join("a"), root.clone()]);
        assert_eq!(
            second.to_string(),
            format!("another installer is at work under `{}`", root.display())
        );
        drop(first);
        assert!(!folder.path().join("a").exists());
        assert!(Lock::take(&root).is_ok());
    }

    #[test]
    fn what_was_installed_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");

        let lock = Lock::take(&root).unwrap();
        fs::create_dir(root.join("opt")).unwrap();
        drop(lock);

        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }
}
