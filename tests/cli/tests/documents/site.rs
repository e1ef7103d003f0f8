//! A directory to install in, empty or with a simulated installation.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use cli_tests::program;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

/// The configuration of its Connection Manager.
pub(crate) const CONNECTION_MANAGER: &str =
    "PcoipAddress = https://b.example\nExternalRoutableIP = 203.0.113.7\n";

/// Where the installer works.
pub(crate) struct Site {
    folder: TempDir,
}

impl Site {
    pub(crate) fn empty() -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a temporary folder can be made") };
        let certificate = include_str!("../../cmd/dry-run.in/jwt-verifying.crt");
        put(&site.folder().join("jwt-verifying.crt"), certificate);
        site
    }

    /// Both roles are installed. The gateway responds, and has its own certificate.
    pub(crate) fn installed() -> Self {
        let site = Self::empty();
        let base = site.root().join("opt/teradici/pcoipcm_data");
        let certificate = site.folder().join("jwt-verifying.crt");
        let external = "ExternalRoutableIP = 203.0.113.7\nExternalRoutableIP = 2001:db8::7\n";
        let conf = format!("SslCertificate = {}\n{external}", certificate.display());
        let record = r#"{ "schema": 1, "version": "0.1.0", "folders": [],
            "last_change": { "command": "configure", "at": "2026-11-30T20:12:01Z" } }"#;
        put(&base.join("bin/pcoip-cmsgd"), "");
        put(&base.join("data/answers.yaml"), "runtime: host\n");
        put(&base.join("data/installation.json"), record);
        put(&base.join("data/ConnectionManager.conf"), CONNECTION_MANAGER);
        put(&base.join("data/SecurityGateway.conf"), &conf);
        answer(&base.join("run/sg.sock"));
        site
    }

    /// The same, but the gateway accepts no connections.
    pub(crate) fn hung() -> (Self, UnixListener) {
        let site = Self::installed();
        let socket = site.base().join("run/sg.sock");
        fs::remove_file(&socket).expect("the socket is there");
        let listener = UnixListener::bind(socket).expect("a socket can be bound");
        (site, listener)
    }

    /// The directory of the installation's files.
    pub(crate) fn base(&self) -> PathBuf {
        self.root().join("opt/teradici/pcoipcm_data")
    }

    /// Working directory of the installer.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder().join("site")
    }
}

/// Runs a command of the installer. Returns its exit code and its document.
pub(crate) fn run<T: DeserializeOwned>(site: &Site, command: &str, words: &[&str]) -> (i32, T) {
    let output = Command::new(program("pcoip-cmsg-setup"))
        .args([command, "--output=json", "--non-interactive", "--root=site"])
        .args(words)
        .current_dir(site.folder())
        .output()
        .expect("the installer can be run");
    let text = String::from_utf8(output.stdout).expect("a document is UTF-8");
    let document = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
    (output.status.code().expect("nobody killed the installer"), document)
}

pub(crate) fn put(path: &Path, text: &str) {
    make_folder_of(path);
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("a file can be written");
}

/// Serves a role's socket during the test.
fn answer(socket: &Path) {
    const STATUS: &str = r#"{ "role": "sg", "version": "0.1.0", "pid": 1, "ready": true,
        "reason": null, "sessions": 3, "in_use": 2, "resumable": 1,
        "listens": [{ "key": "pcoip", "transport": "tcp", "address": "127.0.0.1:4172" }] }"#;
    make_folder_of(socket);
    let listener = UnixListener::bind(socket).expect("a socket can be bound");
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{STATUS}");
        }
    });
}

fn make_folder_of(path: &Path) {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).expect("folders can be made");
}
