//! An installation, and the files that may contain secrets.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use cmsg_config::Paths;
use e2e::installer::plain;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::marks::Marks;

/// What installs both roles.
pub(crate) const INSTALL: [&str; 8] = [
    "install",
    "--runtime=host",
    "--accept-policies",
    "--self-signed",
    "--ignore-disk-req",
    "--external-pcoip-ip=127.0.0.1",
    "--allowed-agents=127.0.0.1",
    "--verbose",
];

/// A folder with a root in it.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn fresh() -> Self {
        // Otherwise, an existing limit would hide a missing one.
        if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
            let _ = setrlimit(Resource::RLIMIT_CORE, hard, hard);
        }
        let _ = setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY);
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    /// The directory of the root, which is in every command line.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::under(self.folder.path().join("root"))
    }

    /// Makes a file beside the root.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        let mut file = File::create(&path).expect("a file can be made");
        file.write_all(text.as_bytes()).expect("a file can be written");
        path
    }

    /// The installer, about this root.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = e2e::binaries::command("pcoip-cmsg-setup");
        command.args(words).arg("--root").arg(self.paths().root());
        command.current_dir(self.folder.path());
        plain(&mut command).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the installer with this environment and standard input.
    pub(crate) fn run(&self, words: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let mut command = self.command(words);
        let mut child = command.envs(environment.iter().copied()).spawn().expect("it starts");
        // The installer may exit without reading it.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("the installer ends")
    }

    /// Runs a command that must succeed, and checks that its output has no secret.
    pub(crate) fn done(&self, words: &[&str], marks: &Marks) -> Output {
        let output = self.run(words, &[], "");
        is_silent(&output, marks, words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {complaint}");
        output
    }

    /// Checks that only the allowed files below the root contain secrets, and that only their owner
    /// can read them. Returns these files.
    pub(crate) fn holds_secrets_in_their_places(&self, marks: &Marks) -> Vec<String> {
        let mut places = Vec::new();
        for (path, (mode, content)) in self.files() {
            let found = marks.find(&content);
            if is_place(&path) {
                assert_eq!(mode & 0o777, 0o600, "{path}");
                places.extend((!found.is_empty()).then_some(path));
            } else {
                assert_eq!(found, [""; 0], "{path}");
            }
        }
        places
    }

    /// Everything that is logged, as one text.
    pub(crate) fn logged(&self) -> String {
        let files = self.files().into_iter().filter(|(path, _)| path.ends_with(".log"));
        files.map(|(_, (_, content))| String::from_utf8_lossy(&content).into_owned()).collect()
    }

    fn files(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.paths().root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
                if metadata.is_dir() {
                    folders.push(path);
                } else if metadata.is_file() && path != self.paths().daemon() {
                    // Files of the roles may disappear while they are read.
                    let Ok(content) = fs::read(&path) else { continue };
                    let name = path.strip_prefix(self.paths().root()).expect("it is below");
                    let mode = metadata.permissions().mode();
                    files.insert(name.display().to_string(), (mode, content));
                }
            }
        }
        files
    }
}

/// Whether a file may contain secrets: keys, and files for passwords.
fn is_place(path: &str) -> bool {
    const BASE: &str = "opt/teradici/pcoipcm_data";
    let below = |folder: &str| path.strip_prefix(&format!("{BASE}/{folder}/"));
    let is_key = |name: &str| name.ends_with(".key") || name.contains(".key.pcoip-cmsg-setup-");
    // Previous versions of changed files, for `rollback`.
    let is_former =
        below("data").is_some_and(|name| name.trim_start_matches('.').starts_with("previous.json"));
    below("data/secrets").is_some() || below("certs").is_some_and(is_key) || is_former
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.run(&["uninstall", "--yes", "--purge"], &[], "");
    }
}

/// Asserts that a command printed no secret.
pub(crate) fn is_silent(output: &Output, marks: &Marks, words: &[&str]) {
    for (name, bytes) in [("output", &output.stdout), ("errors", &output.stderr)] {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(marks.find(bytes), [""; 0], "{name} of {words:?}: {text}");
    }
}
