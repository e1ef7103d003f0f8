//! `drain --wait` with a simulated gateway that reports its sessions.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use cli_tests::program;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A simulated gateway that accepts `drain`, and reports a sequence of counts of used and resumable
/// sessions. The last counts are repeated.
struct Gateway {
    root: TempDir,
    is_drained: Arc<AtomicBool>,
}

impl Gateway {
    fn counting(counts: &[(usize, usize)]) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        let base = root.path().join("opt/teradici/pcoipcm_data");
        let record = r#"{ "schema": 1, "version": "0.1.0", "folders": [] }"#;
        put(&base.join("bin/pcoip-cmsgd"), "");
        put(&base.join("data/answers.yaml"), "runtime: host\n");
        put(&base.join("data/installation.json"), record);
        put(&base.join("data/SecurityGateway.conf"), "");
        let is_drained = Arc::new(AtomicBool::new(false));
        let mut counts: VecDeque<_> = counts.iter().copied().collect();
        let drained = Arc::clone(&is_drained);
        fs::create_dir_all(base.join("run")).expect("folders can be made");
        let listener = UnixListener::bind(base.join("run/sg.sock")).expect("a socket can be bound");
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).expect("a request comes");
                let answer = if request[..length].starts_with(b"POST /drain ") {
                    drained.store(true, Ordering::SeqCst);
                    "HTTP/1.0 204 No Content\r\n\r\n".to_owned()
                } else {
                    let (in_use, resumable) = counts[0];
                    if counts.len() > 1 {
                        counts.pop_front();
                    }
                    let sessions = in_use + resumable;
                    let status = json!({
                        "role": "sg", "version": "0.1.0", "pid": 1, "ready": true, "reason": null,
                        "listens": [], "sessions": sessions,
                        "in_use": in_use, "resumable": resumable,
                    });
                    format!("HTTP/1.0 200 OK\r\n\r\n{status}")
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { root, is_drained }
    }

    fn drain(&self, words: &[&str]) -> Output {
        let mut command = Command::new(program("pcoip-cmsg-setup"));
        command.arg("drain").arg("--root").arg(self.root.path()).args(words);
        let output = command.output().expect("the installer can be run");
        assert!(self.is_drained.load(Ordering::SeqCst));
        output
    }

    /// Standard output, and standard error without the folder and the time that it took.
    fn texts(&self, output: &Output) -> (String, Vec<String>) {
        let root = self.root.path().display().to_string();
        let notes = String::from_utf8_lossy(&output.stderr).replace(&root, "ROOT");
        let took = |line: &str| match line.split_once(" after ") {
            Some((before, rest)) => {
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{before} after N{rest}")
            }
            None => line.to_owned(),
        };
        let lines = notes.lines().filter(|line| !line.is_empty()).map(took).collect();
        (String::from_utf8_lossy(&output.stdout).into_owned(), lines)
    }
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("folders can be made");
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("a file can be written");
}

#[test]
fn a_drain_ends_when_no_session_is_in_use_and_says_what_is_left_and_next() {
    let gateway = Gateway::counting(&[(2, 1), (2, 1), (0, 3)]);

    let output = gateway.drain(&["--wait", "60"]);

    let (data, notes) = gateway.texts(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(data, "security gateway: 0 sessions in use, 3 resumable\n");
    assert_eq!(
        notes,
        [
            "draining: new sessions are refused until `pcoip-cmsg-setup resume --root ROOT`",
            "waiting for 2 sessions to end: 1 min 0 s left",
            "drained after N s: 2 sessions ended, none is in use",
            "3 sessions can still be resumed by their clients",
            "next: do the maintenance, then run `pcoip-cmsg-setup resume --root \
             ROOT`",
        ]
    );
}

#[test]
fn a_drain_without_sessions_in_use_does_not_wait_for_resumable_ones() {
    let gateway = Gateway::counting(&[(0, 2)]);

    let output = gateway.drain(&["--wait", "3600", "--output", "json"]);

    let document: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let sg = json!({ "sessions": 2, "in_use": 0, "resumable": 2 });
    let expected = json!({ "schema": 1, "draining": true, "ended": 0, "roles": { "sg": sg } });
    assert_eq!((output.status.code(), document), (Some(0), expected));
}

#[test]
fn a_drain_whose_time_is_up_fails_and_names_what_is_in_use() {
    let gateway = Gateway::counting(&[(2, 0), (1, 1)]);

    let output = gateway.drain(&["--wait", "1"]);

    let (data, notes) = gateway.texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(data, "security gateway: 1 session in use, 1 resumable\n");
    assert_eq!(
        notes[1..],
        [
            "waiting for 2 sessions to end: 1 s left",
            "error: 1 session is still in use after N s (1 ended)",
            "hint: wait longer with `pcoip-cmsg-setup drain --root ROOT --wait SECONDS`, or restart \
             the host, which ends them",
        ]
    );
}

#[test]
fn a_drain_reaches_each_service_that_answers_and_fails_for_the_others() {
    let gateway = Gateway::counting(&[(1, 0)]);
    let base = gateway.root.path().join("opt/teradici/pcoipcm_data");
    put(&base.join("data/ConnectionManager.conf"), "");

    let output = gateway.drain(&[]);

    let (data, notes) = gateway.texts(&output);
    assert_eq!((output.status.code(), &*data), (Some(1), ""));
    assert_eq!(
        notes,
        [
            "error: the connection manager is not running; the security gateway is draining",
            "hint: run `pcoip-cmsg-setup status --root ROOT` to see why, then run the command again",
        ]
    );
}

#[test]
fn a_drain_without_a_wait_returns_at_once() {
    let gateway = Gateway::counting(&[(1, 0)]);

    let output = gateway.drain(&[]);

    let (data, notes) = gateway.texts(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(data, "security gateway: 1 session in use, 0 resumable\n");
    let again = "`pcoip-cmsg-setup drain --root ROOT --wait SECONDS`";
    assert_eq!(notes[1..], [format!("wait for these sessions with {again}")]);
}
