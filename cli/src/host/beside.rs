//! Files that lie beside this program. In a folder such as `/tmp` another user can put one there, so
//! it counts only if its owner could have replaced this program as well.

use std::{
    env,
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::Uid;

use crate::trusted::user;

/// A file beside this program that another user put there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}`, owned by {owner}, could have been changed by another user", path.display())]
pub(crate) struct Foreign {
    path: PathBuf,
    owner: String,
}

/// The file of that name, if there is one.
///
/// # Errors
///
/// Where another user put it there.
pub(super) fn find(name: &str) -> Result<Option<PathBuf>, Foreign> {
    let Ok(program) = env::current_exe() else { return Ok(None) };
    let path = program.with_file_name(name);
    if !path.exists() {
        return Ok(None);
    }
    judge(&path, &program)?;
    Ok(Some(path))
}

fn judge(path: &Path, program: &Path) -> Result<(), Foreign> {
    let Ok(program) = program.metadata() else { return Ok(()) };
    let is_ours = |file: &Metadata| {
        let owners = [0, Uid::effective().as_raw(), program.uid()];
        let is_open = !file.is_symlink() && file.mode() & 0o022 & !program.mode() != 0;
        owners.contains(&file.uid()) && !is_open
    };
    // A link's own owner decides where it leads.
    let there = [path.symlink_metadata(), path.metadata()].into_iter().flatten();
    match there.into_iter().find(|file| !is_ours(file)) {
        None => Ok(()),
        Some(file) => Err(Foreign { path: path.to_owned(), owner: user(file.uid()) }),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File, Permissions},
        os::unix::fs::{PermissionsExt as _, chown, lchown, symlink},
    };

    use super::*;

    #[test]
    fn a_file_of_another_user_or_behind_their_link_is_foreign() {
        if !Uid::effective().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let [program, file, link] = ["program", "file", "link"].map(|it| folder.path().join(it));
        for path in [&program, &file] {
            File::create(path).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        symlink(&file, &link).unwrap();
        let is_foreign = |path: &Path| judge(path, &program).is_err();
        assert!(!is_foreign(&file) && !is_foreign(&link));

        lchown(&link, Some(12_345), None).unwrap();
        assert!(!is_foreign(&file) && is_foreign(&link));
        chown(&file, Some(12_345), None).unwrap();
        assert!(is_foreign(&file));
        chown(&program, Some(12_345), None).unwrap();
        assert!(!is_foreign(&file), "its owner could replace this program");
        fs::set_permissions(&file, Permissions::from_mode(0o777)).unwrap();
        assert!(is_foreign(&file));
    }
}
