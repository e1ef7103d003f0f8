//! What lies in the folders of an installation: its own files and folders, and those that somebody
//! else put there, which no removal touches.

use std::path::{Path, PathBuf};

use cmsg_config::Paths;

use crate::installation::layout;

/// The entries of all folders of an installation but these folders themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Files of the installer and the roles.
    pub(crate) own: Vec<PathBuf>,
    /// Files and folders of others. What is inside such a folder is not listed.
    pub(crate) foreign: Vec<PathBuf>,
}

impl Contents {
    /// Lists them; a folder that is missing or cannot be read has none.
    pub(crate) fn look(paths: &Paths) -> Self {
        let folders = layout::own_folders(paths);
        let mut entries: Vec<_> =
            folders.iter().chain([&paths.logs().to_owned()]).flat_map(|it| children(it)).collect();
        entries.retain(|entry| !folders.contains(entry));
        entries.sort();
        entries.dedup();
        let known = layout::known_files(paths);
        let adopted = layout::adopted(paths);
        let is_own = |path: &PathBuf| {
            let Ok(kind) = path.symlink_metadata() else { return known.contains(path) };
            match known.contains(path) {
                true => !kind.is_dir() || *path == adopted,
                false => kind.is_file() && layout::is_own_name(paths, &known, path),
            }
        };
        let (own, foreign) = entries.into_iter().partition(is_own);
        Self { own, foreign }
    }

    /// Whether somebody else's file or folder is below that folder.
    pub(crate) fn has_foreign_in(&self, folder: &Path) -> bool {
        self.foreign.iter().any(|path| path.starts_with(folder))
    }

    /// Whether that is so for one of these folders.
    pub(crate) fn has_foreign_in_any(&self, folders: &[PathBuf]) -> bool {
        folders.iter().any(|folder| self.has_foreign_in(folder))
    }

    /// The own files below that folder.
    pub(crate) fn own_in(&self, folder: &Path) -> impl Iterator<Item = PathBuf> {
        self.own.iter().filter(move |path| path.starts_with(folder)).cloned()
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn put(path: PathBuf) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(&path).unwrap();
        path
    }

    #[test]
    fn own_files_are_told_from_those_of_others() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        let mut own = [
            paths.daemon(),
            layout::certificate(&paths),
            paths.certs().join(".cmsg.key.pcoip-cmsg-setup-new"),
            layout::secrets(&paths).join("docker-password"),
            paths.run().join("sg.sock"),
            paths.state().join("security-gateway.journal.damaged"),
            paths.state().join("connection-manager.sessions"),
            paths.connection_manager_logs().join("pcoip-connmgr_2026_01_02T03_04_05_006Z.log.gz"),
            layout::supervise_log(&paths),
        ]
        .map(put);
        own.sort();
        let mut foreign = [
            paths.base().join("README"),
            paths.certs().join("intranet.pem"),
            paths.certs().join(".cmsg.key.swp"),
            layout::secrets(&paths).join("mine"),
            paths.data().join("ConnectionManager.conf.orig"),
            paths.state().join("core.1234"),
            paths.security_gateway_logs().join("pcoip-connmgr.txt"),
            paths.security_gateway_logs().join("pcoip-sg_mine.log"),
            paths.security_gateway_logs().join("pcoip-sg_2026_01_02T03_04_05_006Z.log.1.gz"),
            paths.state().join("security-gateway.mine"),
            paths.state().join("connection-manager.journal"),
            paths.certs().join(".cmsg.key.pcoip-cmsg-setup-mine"),
            paths.certs().join(".mine.pcoip-cmsg-setup-old"),
            paths.logs().join("other.log"),
        ]
        .map(put);

        let contents = Contents::look(&paths);

        foreign.sort();
        assert_eq!(contents.own, own);
        assert_eq!(contents.foreign, foreign);
        assert!(contents.has_foreign_in(&paths.certs()) && !contents.has_foreign_in(&paths.run()));
    }

    #[test]
    fn folders_and_links_with_the_names_of_own_files_are_of_others() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        let mut foreign = vec![
            paths.certs().join("old"),
            paths.certs().join(".ca.crt.pcoip-cmsg-setup-old"),
            paths.certs().join("jwt-signing.key"),
            paths.state().join("security-gateway.draining"),
        ];
        foreign.iter().for_each(|folder| drop(put(folder.join("cmsg.key"))));
        let link = paths.state().join("security-gateway.journal.new");
        symlink("/nowhere", &link).unwrap();
        foreign.push(link);
        let adopted = layout::adopted(&paths);
        put(adopted.join("stack.yaml"));

        let contents = Contents::look(&paths);

        foreign.sort();
        assert_eq!(contents, Contents { own: vec![adopted], foreign });
    }

    #[test]
    fn nothing_is_in_folders_that_are_missing() {
        assert_eq!(Contents::look(&Paths::under("/nowhere")), Contents::default());
    }
}
