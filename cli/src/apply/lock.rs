//! One installer at a time: a lock file under the root of the installation, which is gone
//! afterwards.

use std::{
    fs::{self, File, Metadata, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use cmsg_config::Paths;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use crate::{
    apply::{interrupted, journal},
    installation::layout,
    trusted,
};

/// The right to change the installation under one root.
#[derive(Debug)]
pub(crate) struct Lock {
    root: PathBuf,
    path: PathBuf,
    file: File,
    note: Note,
}

/// What stands in the file: who holds the lock, and the folders that go with it. Whoever takes the
/// lock of a killed holder takes over its folders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    pid: u32,
    made: Vec<PathBuf>,
}

/// Another installer holds the lock.
#[derive(Debug, thiserror::Error)]
#[error("another installer{} is running {}", process(*.pid), layout::place(.root))]
pub(crate) struct Busy {
    pid: Option<u32>,
    root: PathBuf,
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// Whether an installer was killed that held the lock, or holds it.
pub(crate) fn is_left(root: &Path) -> bool {
    path(root).symlink_metadata().is_ok()
}

fn path(root: &Path) -> PathBuf {
    layout::beside(root).join(".pcoip-cmsg-setup.lock")
}

impl Lock {
    /// Takes the lock; the root is made if it is not there.
    ///
    /// # Errors
    ///
    /// [`Busy`] where another installer holds it, else where the root cannot be used.
    pub(crate) fn take(root: &Path) -> anyhow::Result<Self> {
        let folders = layout::all_folders(&Paths::under(root));
        let inside: Vec<_> = folders.iter().filter(|folder| folder.starts_with(root)).collect();
        interrupted::refuse_open(&inside)?;
        let mut made: Vec<_> =
            root.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
        made.reverse();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .with_context(|| format!("failed to create `{}`", root.display()))?;

        let path = path(root);
        // Somebody may have made the folder a moment before.
        let is_ours = trusted::check_folder(layout::beside(root).as_path());
        let locked = is_ours
            .map_err(anyhow::Error::from)
            .and_then(|()| lock(&path, root))
            .and_then(|mut file| {
                let left = read(&mut file, &path).unwrap_or_default();
                let is_around =
                    |folder: &PathBuf| root.starts_with(folder) && !made.contains(folder);
                let all = left.made.into_iter().filter(is_around).chain(made.clone()).collect();
                let note = Note { pid: std::process::id(), made: all };
                let mut lock = Self { root: root.to_owned(), path, file, note };
                lock.write()?;
                Ok(lock)
            });
        locked.inspect_err(|_| made.iter().rev().for_each(|folder| drop(fs::remove_dir(folder))))
    }

    /// The folders that were made for it, outer ones first.
    pub(crate) fn made(&self) -> &[PathBuf] {
        &self.note.made
    }

    /// Makes these folders go with the lock, those of them that are around the lock file and empty
    /// then: they cannot be removed before.
    ///
    /// # Errors
    ///
    /// Where that cannot be noted.
    pub(crate) fn goes_with(&mut self, folders: &[PathBuf]) -> anyhow::Result<()> {
        let is_around = |folder: &&PathBuf| self.root.starts_with(folder);
        self.note.made = folders.iter().filter(is_around).cloned().collect();
        self.note.made.sort_by_key(|folder| folder.components().count());
        self.write()
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let mut write = || -> io::Result<()> {
            let text = serde_json::to_string(&self.note)?;
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(text.as_bytes())?;
            self.file.sync_all()
        };
        write().with_context(|| format!("failed to write `{}`", self.path.display()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whoever goes on with the journal needs to know which folders go.
        if journal::path(&Paths::under(&self.root)).exists() {
            return;
        }
        let _ = fs::remove_file(&self.path);
        for folder in self.note.made.iter().rev() {
            // Fails where something was installed in it, as it should.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Opens and locks the file.
fn lock(path: &Path, root: &Path) -> anyhow::Result<File> {
    let locking = || format!("failed to lock `{}`", path.display());
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(path)
            .with_context(locking)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read(&mut file, path).map(|note| note.pid);
                return Err(Busy { pid, root: root.to_owned() }.into());
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(locking),
        }
        // Whoever held it before may have removed it after we opened it.
        if is_in_place(&file, path).with_context(locking)? {
            return Ok(file);
        }
    }
}

/// Reads the note, unless somebody else wrote it or a killed installer was just about to.
fn read(file: &mut File, path: &Path) -> Option<Note> {
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    trusted::check(path, &metadata).ok()?;
    let mut text = String::new();
    file.take(64 * 1024).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
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
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::trusted::Untrusted;

    #[test]
    fn a_second_installer_is_refused_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");

        let first = Lock::take(&root).unwrap();
        let second = Lock::take(&root).unwrap_err();

        assert_eq!(first.made(), [folder.path().join("a"), root.clone()]);
        assert_eq!(
            second.to_string(),
            format!(
                "another installer (process {}) is running under `{}`",
                std::process::id(),
                root.display()
            )
        );
        drop(first);
        assert!(!folder.path().join("a").exists());
        assert!(Lock::take(&root).is_ok());
    }

    #[test]
    fn the_lock_of_a_killed_installer_is_taken_with_its_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        let made = [folder.path().join("a"), root.clone()];

        // Killed: it runs no destructor.
        let mut killed = std::mem::ManuallyDrop::new(Lock::take(&root).unwrap());
        killed.file.unlock().unwrap();
        killed.file.flush().unwrap();
        let next = Lock::take(&root).unwrap();

        assert_eq!(next.made(), made);
        drop(next);
        assert!(!made[0].exists());
    }

    #[test]
    fn a_note_that_others_could_have_written_is_not_believed() {
        let root = tempfile::tempdir().unwrap();
        let victim = tempfile::tempdir().unwrap();
        let note = Note { pid: 1, made: vec![victim.path().to_owned(), root.path().to_owned()] };
        let mut file = File::create(path(root.path())).unwrap();
        file.write_all(serde_json::to_string(&note).unwrap().as_bytes()).unwrap();
        let open = fs::Permissions::from_mode(0o666);
        fs::set_permissions(path(root.path()), open).unwrap();

        drop(Lock::take(root.path()).unwrap());

        assert!(victim.path().exists() && root.path().exists());
    }

    #[test]
    fn a_lock_is_not_written_through_a_link_nor_where_everybody_writes() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("target");
        symlink(&target, path(root.path())).unwrap();

        let linked = Lock::take(root.path()).unwrap_err();
        fs::remove_file(path(root.path())).unwrap();
        fs::create_dir(root.path().join("opt")).unwrap();
        fs::set_permissions(root.path().join("opt"), fs::Permissions::from_mode(0o1777)).unwrap();
        let open = Lock::take(root.path()).unwrap_err();

        let locking = format!("failed to lock `{}`", path(root.path()).display());
        assert_eq!(linked.to_string(), locking);
        let opt = root.path().join("opt");
        let reason = format!("`{}` is writable by users other than its owner", opt.display());
        assert!(open.to_string().starts_with(&reason), "{open}");
        assert!(Untrusted::cause(&open).is_some_and(|why| why.fix().contains("chmod go-w")));
        assert!(!target.exists() && !path(root.path()).exists());
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
