//! Settings of the engine that its API does not report, from its command line and its configuration
//! file. Settings that cannot be read count as not set.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use cmsg_config::socket::connect_at;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::Value;

/// The engine's pid file, which is used if systemd opened its socket.
const PIDFILE: &str = "/var/run/docker.pid";
/// The configuration file, unless `--config-file` names another one.
const FILE: &str = "/etc/docker/daemon.json";
/// Maximum size of a configuration file in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settings {
    /// `no-new-privileges`: whether containers cannot gain privileges.
    pub(crate) no_new_privileges: bool,
    /// Default open-file limit of containers.
    pub(crate) open_files: Option<u64>,
}

impl Settings {
    /// Reads the settings of the engine behind a socket.
    pub(crate) fn read(socket: &Path) -> Self {
        let words = command_line(socket);
        let file = option(&words, "--config-file").map_or_else(|| FILE.into(), PathBuf::from);
        let mut text = String::new();
        let opened = fs::File::open(file);
        let read = opened.and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
        let file = read.ok().and_then(|_| serde_json::from_str(&text).ok());
        Self::of(&words, &file.unwrap_or_default())
    }

    fn of(words: &[String], file: &Value) -> Self {
        let flag = words.iter().any(|word| {
            let value = word.strip_prefix("--no-new-privileges");
            matches!(value, Some("" | "=true" | "=1"))
        });
        let limit = option(words, "--default-ulimit").and_then(|limit| {
            let both = limit.strip_prefix("nofile=")?;
            both.rsplit(':').next()?.parse().ok()
        });
        Self {
            no_new_privileges: flag || file["no-new-privileges"] == true,
            open_files: limit.or_else(|| file["default-ulimits"]["nofile"]["Hard"].as_u64()),
        }
    }
}

/// The value of `--name value` or `--name=value`.
fn option<'a>(words: &'a [String], name: &str) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(name)? {
        "" => words.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}

/// The command line of the process that listens on the socket.
fn command_line(socket: &Path) -> Vec<String> {
    let stream = connect_at(socket, Duration::ZERO).ok();
    let peer = stream.and_then(|stream| getsockopt(&stream, PeerCredentials).ok());
    let peer = peer.map(|peer| peer.pid().to_string());
    let noted = fs::read_to_string(PIDFILE).ok().map(|text| text.trim().to_owned());
    let is_engine = |pid: &String| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "dockerd")
    };
    let Some(pid) = [peer, noted].into_iter().flatten().find(is_engine) else { return Vec::new() };
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into());
    words.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_and_file_set_the_same() {
        let of = |words: &str, file: Value| {
            let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
            let Settings { no_new_privileges, open_files } = Settings::of(&words, &file);
            (no_new_privileges, open_files)
        };
        let limits = json!({ "default-ulimits": { "nofile": { "Hard": 4096, "Soft": 1024 } } });

        assert_eq!(of("dockerd", Value::Null), (false, None));
        assert_eq!(of("dockerd --no-new-privileges", Value::Null), (true, None));
        assert_eq!(of("dockerd --no-new-privileges=false", json!([])), (false, None));
        assert_eq!(of("dockerd", json!({ "no-new-privileges": true })), (true, None));
        assert_eq!(of("dockerd", limits.clone()), (false, Some(4096)));
        assert_eq!(of("dockerd --default-ulimit nofile=1024:2048", limits), (false, Some(2048)));
        assert_eq!(of("dockerd --default-ulimit=nofile=512 -D", Value::Null), (false, Some(512)));
        assert_eq!(of("dockerd --default-ulimit nproc=5", Value::Null), (false, None));
    }
}
