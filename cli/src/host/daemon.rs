//! Which daemon to install.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use cmsg_config::Paths;

use super::beside::{self, Foreign};
use crate::installation::layout;

/// The daemon's name beside this program.
const NAME: &str = "pcoip-cmsgd";
/// Where the package puts it.
const PACKAGED: &str = "/usr/libexec/pcoip-cmsg-setup/pcoip-cmsgd";

/// The daemon as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DaemonFact {
    /// It lies there, and another one or none is installed.
    Copy(PathBuf),
    /// The installed one will do.
    Stays,
    /// It does not exist, and none is installed.
    Missing(PathBuf),
    /// It is not a program, and none is installed.
    NotExecutable(PathBuf),
    /// Another user put it beside this program.
    Foreign(Foreign),
}

impl DaemonFact {
    /// Looks where the operator said, else beside this program, else where the package puts it.
    pub(crate) fn read(named: Option<&Path>, paths: &Paths) -> Self {
        let source = named.map_or_else(|| unnamed(Path::new(PACKAGED)), |path| Ok(path.to_owned()));
        match source {
            Ok(source) => Self::compare(source, &paths.daemon(), named.is_some()),
            Err(foreign) => Self::Foreign(foreign),
        }
    }

    /// The size of a daemon that is copied.
    pub(crate) fn bytes(&self) -> u64 {
        let Self::Copy(source) = self else { return 0 };
        source.metadata().map_or(0, |metadata| metadata.len())
    }

    /// Whether a process runs the installed daemon, or the one before it.
    pub(crate) fn is_run_by(pid: u32, paths: &Paths) -> bool {
        let Ok(program) = fs::read_link(format!("/proc/{pid}/exe")) else { return false };
        // The kernel's mark of a file that has been replaced.
        let program = program.to_string_lossy();
        let program = Path::new(program.strip_suffix(" (deleted)").unwrap_or(&program));
        let real =
            |path: PathBuf| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
        [paths.daemon(), layout::previous_daemon(paths)]
            .into_iter()
            .any(|path| real(path).is_some_and(|path| path == program))
    }

    fn compare(source: PathBuf, installed: &Path, is_named: bool) -> Self {
        let metadata = source.metadata();
        let is_program = metadata
            .as_ref()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0);
        if !is_program {
            return match metadata {
                _ if !is_named && installed.exists() => Self::Stays,
                Ok(_) => Self::NotExecutable(source),
                Err(_) => Self::Missing(source),
            };
        }
        if is_same(&source, installed).unwrap_or(false) { Self::Stays } else { Self::Copy(source) }
    }
}

/// The daemon beside this program, if there is anything of that name, else the packaged one.
fn unnamed(packaged: &Path) -> Result<PathBuf, Foreign> {
    Ok(beside::find(NAME)?.unwrap_or_else(|| packaged.to_owned()))
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(left.len() == right.len());
        }
        one.consume(length);
        other.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    fn program(path: &Path, content: &str, mode: u32) {
        File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_packaged_daemon_is_taken_where_none_lies_beside_the_program() {
        let packaged = Path::new("/packaged/pcoip-cmsgd");
        // The program of this test lies in a folder of its own kind.
        let own = std::env::current_exe().unwrap();
        assert!(!own.with_file_name(NAME).exists());

        assert_eq!(unnamed(packaged), Ok(packaged.to_owned()));
    }

    #[test]
    fn a_daemon_is_copied_only_where_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let [source, same, other, data, none] =
            ["source", "same", "other", "data", "none"].map(|name| folder.path().join(name));
        program(&source, "one", 0o755);
        program(&same, "one", 0o700);
        program(&other, "two", 0o700);
        program(&data, "one", 0o600);
        let table = [
            (&source, &same, true, DaemonFact::Stays),
            (&source, &other, true, DaemonFact::Copy(source.clone())),
            (&source, &none, true, DaemonFact::Copy(source.clone())),
            (&none, &same, true, DaemonFact::Missing(none.clone())),
            (&none, &same, false, DaemonFact::Stays),
            (&data, &none, false, DaemonFact::NotExecutable(data.clone())),
            (
                &folder.path().to_owned(),
                &none,
                true,
                DaemonFact::NotExecutable(folder.path().to_owned()),
            ),
        ];
        for (index, (source, installed, is_named, fact)) in table.into_iter().enumerate() {
            assert_eq!(DaemonFact::compare(source.clone(), installed, is_named), fact, "{index}");
        }
    }

    #[test]
    fn a_process_of_the_installed_daemon_is_known_also_after_an_update() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::under(root.path());
        let daemon = paths.daemon();
        fs::create_dir_all(daemon.parent().unwrap()).unwrap();
        fs::copy("/bin/sleep", &daemon).unwrap();
        let mut process = std::process::Command::new(&daemon).arg("60").spawn().unwrap();

        assert!(DaemonFact::is_run_by(process.id(), &paths));
        fs::remove_file(&daemon).unwrap();
        assert!(DaemonFact::is_run_by(process.id(), &paths));
        assert!(!DaemonFact::is_run_by(std::process::id(), &paths));

        process.kill().unwrap();
        process.wait().unwrap();
    }
}
