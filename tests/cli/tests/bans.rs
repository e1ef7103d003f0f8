//! `bans` with a simulated Connection Manager.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread,
};

use cli_tests::program;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A simulated Connection Manager that has these bans and lifts so many.
struct Manager {
    root: TempDir,
    /// The received requests: the first line, and the body.
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Manager {
    fn with(bans: Value, lifted: usize) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder can be made");
        let base = root.path().join("opt/teradici/pcoipcm_data");
        let record = r#"{ "schema": 1, "version": "0.1.0", "folders": [] }"#;
        put(&base.join("bin/pcoip-cmsgd"), "");
        put(&base.join("data/answers.yaml"), "runtime: host\n");
        put(&base.join("data/installation.json"), record);
        put(&base.join("data/ConnectionManager.conf"), "");
        fs::create_dir_all(base.join("run")).expect("folders can be made");
        let listener = UnixListener::bind(base.join("run/cm.sock")).expect("a socket can be bound");
        let heard = Arc::default();
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).expect("a request comes");
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let (head, body) = request.split_once("\r\n\r\n").expect("it is HTTP");
                let first = head.lines().next().unwrap_or_default();
                let answer = match first {
                    "GET /bans HTTP/1.0" => json!({ "bans": bans }),
                    _ => json!({ "lifted": lifted }),
                };
                let heard: &Mutex<Vec<_>> = &hearing;
                heard
                    .lock()
                    .expect("no test panics here")
                    .push((first.to_owned(), body.to_owned()));
                let _ = stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{answer}").as_bytes());
            }
        });
        Self { root, heard }
    }

    fn bans(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(program("pcoip-cmsg-setup"));
        command.arg("bans").arg("--root").arg(self.root.path()).args(words);
        let Output { status, stdout, stderr } = command.output().expect("the installer can be run");
        let root = self.root.path().display().to_string();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&root, "ROOT");
        (status.code(), text(&stdout), text(&stderr))
    }

    fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().expect("no test panics here").clone()
    }
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("folders can be made");
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(text.as_bytes()).expect("a file can be written");
}

fn ban() -> Value {
    json!({
        "source": "192.0.2.1", "user": "example\\anna", "failures": 10,
        "until": "2026-12-01T16:00:00Z", "refused": 3,
    })
}

#[test]
fn bans_are_listed_as_a_table_and_as_json() {
    let manager = Manager::with(json!([ban()]), 0);

    let (code, table, notes) = manager.bans(&[]);
    assert_eq!((code, &*notes), (Some(0), ""));
    assert_eq!(
        table,
        "SOURCE     USER          FAILURES  UNTIL                 REFUSED\n\
         192.0.2.1  example\\anna  10        2026-12-01T16:00:00Z  3\n"
    );

    let (code, document, _) = manager.bans(&["--output", "json"]);
    let document: Value = serde_json::from_str(&document).expect("it is JSON");
    assert_eq!((code, document), (Some(0), json!({ "schema": 1, "bans": [ban()] })));
}

#[test]
fn an_empty_list_has_no_data() {
    let (code, data, notes) = Manager::with(json!([]), 0).bans(&[]);

    assert_eq!((code, &*data, &*notes), (Some(0), "", "no user is banned\n"));
}

#[test]
fn one_ban_is_lifted_or_all_are() {
    let manager = Manager::with(json!([]), 1);

    let one = manager.bans(&["lift", "192.0.2.1", "EXAMPLE\\anna"]);
    assert_eq!(one, (Some(0), String::new(), "lifted 1 ban\n".to_owned()));
    let (code, document, _) = manager.bans(&["lift", "--all", "--output", "json"]);
    let document: Value = serde_json::from_str(&document).expect("it is JSON");
    assert_eq!((code, document), (Some(0), json!({ "schema": 1, "lifted": 1 })));

    let bodies = [r#"{"one":{"source":"192.0.2.1","user":"EXAMPLE\\anna"}}"#, r#""all""#];
    let posted = bodies.map(|body| ("POST /bans/lift HTTP/1.0".to_owned(), body.to_owned()));
    assert_eq!(manager.heard(), posted);
}

#[test]
fn a_user_who_is_not_banned_is_an_error() {
    let (code, _, notes) = Manager::with(json!([]), 0).bans(&["lift", "192.0.2.1", "anna"]);

    assert_eq!(code, Some(1));
    assert_eq!(
        notes,
        "error: `anna` is not banned from 192.0.2.1\n\
         hint: list the bans with `pcoip-cmsg-setup bans --root ROOT`\n"
    );
}

#[test]
fn a_lift_without_a_ban_is_a_mistake() {
    let manager = Manager::with(json!([]), 1);
    let table: [(&[&str], &str); 4] = [
        (&["lift"], "the following required arguments were not provided"),
        (&["lift", "192.0.2.1"], "the following required arguments were not provided"),
        (&["lift", "anna", "192.0.2.1"], "it is not an IP address or an IPv6 network"),
        (&["lift", "--all", "192.0.2.1", "anna"], "cannot be used with"),
    ];
    for (words, expected) in table {
        let (code, _, notes) = manager.bans(words);

        assert_eq!(code, Some(2), "{words:?}");
        assert!(notes.contains(expected), "{notes}");
    }
    assert_eq!(manager.heard(), []);
}
