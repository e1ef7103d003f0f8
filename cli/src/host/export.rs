//! The file that the answers are exported to, as it is before anything is changed.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf, absolute},
};

use cmsg_config::cause;
use nix::unistd::{AccessFlags, access};

use crate::{answers::file, files, installation::installed::InstalledFile};

/// Where the answers are exported to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Export {
    pub(crate) path: PathBuf,
    /// The answers that it contains already, or why it cannot be written.
    pub(crate) found: Result<Option<InstalledFile>, String>,
}

impl Export {
    /// Looks at the file that the operator named.
    pub(crate) fn look(path: &Path) -> Self {
        // Without a working folder a relative path has no folder that is there.
        let path = absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { found: look(&path), path }
    }
}

fn look(path: &Path) -> Result<Option<InstalledFile>, String> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(cause::of_io(&error)),
        Ok(metadata) if !metadata.is_file() => return Err("is not a regular file".to_owned()),
        Ok(metadata) => {
            let content = files::read(path).map_err(|error| cause::of_io(&error))?;
            let is_private = metadata.permissions().mode() & 0o077 == 0;
            Some(InstalledFile { content, is_private })
        }
    };
    if let Some(file) = &found {
        // A slip of the hand shall not cost the operator a key.
        let text = file.content.decode().map_err(|why| why.to_string())?;
        file::parse(&text).map_err(|_| "is not an answers file")?;
    }
    let folder = path.parent().filter(|_| !path.to_string_lossy().ends_with('/'));
    let folder = folder.ok_or("is not the name of a file")?;
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|why| format!("`{}` cannot be written to: {}", folder.display(), why.desc()))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn answers_are_exported_to_a_new_file_or_over_older_ones_only() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [("older", "agent-port: 6000\n"), ("empty", ""), ("key", "secret")] {
            File::create(at(name)).unwrap().write_all(text.as_bytes()).unwrap();
        }
        symlink(at("older"), at("link")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let none = at("none");
        let no_folder = format!("`{}` cannot be written to: ", none.display());
        let table = [
            ("new", Ok(None)),
            ("empty", Ok(Some(String::new()))),
            ("older", Ok(Some("agent-port: 6000\n".to_owned()))),
            ("", Err("is not a regular file".to_owned())),
            ("link", Err("is not a regular file".to_owned())),
            ("pipe", Err("is not a regular file".to_owned())),
            ("key", Err("is not an answers file".to_owned())),
            ("new/", Err("is not the name of a file".to_owned())),
            ("none/file", Err(no_folder + "No such file or directory")),
        ];
        for (name, expected) in table {
            let found = Export::look(&at(name)).found;

            let text = |file: InstalledFile| file.content.text();
            assert_eq!(found.map(|file| file.map(text)), expected, "{name}");
        }
    }

    #[test]
    fn a_relative_path_begins_at_the_working_folder() {
        let here = std::env::current_dir().unwrap();

        assert_eq!(
            Export::look(Path::new("no-such-file.yaml")).path,
            here.join("no-such-file.yaml")
        );
    }
}
