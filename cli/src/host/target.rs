//! Whether files can be made where an installation goes, asked without making any.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    sys::statvfs::{FsFlags, statvfs},
    unistd::{AccessFlags, eaccess},
};

use crate::{installation::layout, wanted::Location};

/// The folders that an installation begins in: those that are there already.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    pub(crate) folders: Vec<Folder>,
    /// The folder that the daemon's will be in, where its file system is mounted with `noexec`.
    pub(crate) noexec: Option<PathBuf>,
}

/// What is there already of the way to a folder of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Why nothing can be made in it.
    pub(crate) obstacle: Option<Obstacle>,
    /// Free bytes, where the file system counts them.
    pub(crate) free: Option<u64>,
    /// Whether its file system takes no more files, however small.
    pub(crate) has_no_inodes: bool,
    /// The number of its file system.
    pub(crate) device: Option<u64>,
}

/// Why nothing can be made in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It is a file, or a link to nowhere.
    NotAFolder,
    /// Its file system is mounted read-only.
    ReadOnly,
    /// The installer's user has no right to.
    NotPermitted,
    /// The system says something else.
    Other(String),
}

impl Target {
    /// Looks at every folder that the installer writes into.
    pub(crate) fn look(place: &Location) -> Self {
        let paths = place.paths();
        let mut folders: Vec<Folder> = Vec::new();
        for wanted in place.root.iter().cloned().chain(layout::own_folders(&paths)) {
            let Some(there) = nearest(&wanted) else { continue };
            if !folders.iter().any(|folder| folder.path == there) {
                folders.push(Folder::look(there));
            }
        }
        let bin = layout::bin(&paths);
        let noexec = nearest(&bin).filter(|path| is_noexec(path)).map(Path::to_owned);
        Self { folders, noexec }
    }

    /// Whether something can be made in all of them.
    pub(crate) fn is_usable(&self) -> bool {
        self.folders.iter().all(|folder| folder.obstacle.is_none())
    }
}

impl Folder {
    fn look(path: &Path) -> Self {
        let stat = statvfs(path).ok();
        let free = stat.map(|s| s.blocks_available().saturating_mul(s.fragment_size()));
        // Some file systems make inodes as they need them and count none.
        let has_no_inodes = stat.is_some_and(|s| s.files() > 0 && s.files_available() == 0);
        let device = path.metadata().ok().map(|metadata| metadata.dev());
        Self { path: path.to_owned(), obstacle: obstacle(path), free, has_no_inodes, device }
    }
}

/// The folder itself or the innermost one around it that exists.
fn nearest(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|path| path.symlink_metadata().is_ok())
}

fn is_noexec(path: &Path) -> bool {
    statvfs(path).is_ok_and(|stat| stat.flags().contains(FsFlags::ST_NOEXEC))
}

impl Obstacle {
    fn of(refusal: Errno) -> Self {
        match refusal {
            Errno::EROFS => Self::ReadOnly,
            Errno::EACCES | Errno::EPERM => Self::NotPermitted,
            other => Self::Other(other.desc().to_owned()),
        }
    }
}

fn obstacle(path: &Path) -> Option<Obstacle> {
    if !path.is_dir() {
        return Some(Obstacle::NotAFolder);
    }
    eaccess(path, AccessFlags::W_OK | AccessFlags::X_OK).err().map(Obstacle::of)
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File, os::unix::fs::symlink};

    use super::*;
    use crate::installation::Runtime;

    fn look(root: &Path) -> Vec<(PathBuf, Option<Obstacle>)> {
        let place = Location { runtime: Runtime::Host, root: Some(root.to_owned()) };
        let folders = Target::look(&place).folders.into_iter();
        folders.map(|folder| (folder.path, folder.obstacle)).collect()
    }

    #[test]
    fn the_nearest_folder_that_is_there_is_looked_at_once_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");

        assert_eq!(look(&root), [(folder.path().to_owned(), None)]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_stands_in_the_way_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        File::create(root.join("opt")).unwrap();
        symlink("/nowhere", root.join("var")).unwrap();

        let not = Some(Obstacle::NotAFolder);
        assert_eq!(
            look(&root),
            [(root.clone(), None), (root.join("opt"), not.clone()), (root.join("var"), not)]
        );
    }

    #[test]
    fn what_the_system_refuses_is_told_apart() {
        let table = [
            (Errno::EROFS, Obstacle::ReadOnly),
            (Errno::EACCES, Obstacle::NotPermitted),
            (Errno::EIO, Obstacle::Other("I/O error".to_owned())),
        ];
        for (refusal, obstacle) in table {
            assert_eq!(Obstacle::of(refusal), obstacle);
        }
    }
}
