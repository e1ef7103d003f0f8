//! Where settings come from, and invalid answers files.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use cli_tests::program;
use serde_json::{Value, json};

/// Ten times the slowest run on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

fn plan(folder: &Path, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program("pcoip-cmsg-setup"));
    command
        .args(["install", "--dry-run", "--output=json", "--non-interactive", "--root=site"])
        .args(["--daemon=/bin/true", "--self-signed", "--ignore-disk-req", "--accept-policies"])
        .args(["--runtime=host", "--enable-security-gateway=false"])
        .arg("--broker-url=https://127.0.0.1:1")
        .args(words)
        .current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PCOIP_CMSG_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).output().expect("the installer can be run")
}

fn put(path: &Path, text: &[u8]) {
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder is made");
    let mut file = File::create(path).expect("a file can be made");
    file.write_all(text).expect("a file can be written");
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("the installer prints a document")
}

#[test]
fn the_flag_answers_before_the_environment_before_the_file_before_what_was_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let variable = [("PCOIP_CMSG_AGENT_PORT", "3")];
    let file = "--answers=mine.yaml";
    put(&folder.path().join("mine.yaml"), b"agent-port: 2\n");
    let answered = |words: &[&str], variables: &[(&str, &str)]| {
        document(&plan(folder.path(), words, variables))["settings"]["agent-port"].clone()
    };

    assert_eq!(answered(&[], &[]), json!({ "value": "60443", "from": "default" }));
    let saved = "site/opt/teradici/pcoipcm_data/data/answers.yaml";
    put(&folder.path().join(saved), b"agent-port: 1\n");
    assert_eq!(answered(&[], &[]), json!({ "value": "1", "from": "saved" }));
    assert_eq!(answered(&[file], &[]), json!({ "value": "2", "from": "answers" }));
    assert_eq!(answered(&[file], &variable), json!({ "value": "3", "from": "environment" }));
    let flag = answered(&[file, "--agent-port=4"], &variable);
    assert_eq!(flag, json!({ "value": "4", "from": "flag" }));
}

#[test]
fn what_is_no_answers_file_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (inner, outer) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        let nine = vec![format!("*{inner}"); 9].join(",");
        bomb += &format!("{outer}: &{outer} [{nine}]\n");
    }
    let deep = |what: &str| format!("listen: {}\n", what.repeat(200_000)).into_bytes();
    let brackets = "has more than 1000 opening brackets";
    let huge = vec![b'#'; 100 << 20];
    let table: [(&str, Vec<u8>, &str); 9] = [
        ("bomb", bomb.into_bytes(), "repetition limit exceeded"),
        ("brackets", deep("["), brackets),
        ("braces", deep("{a: "), brackets),
        ("dashes", format!("listen:\n {}\n", "- ".repeat(200_000)).into_bytes(), "recursion limit"),
        ("tag", b"agent-port: !port 6000\n".to_vec(), "`agent-port` expects one value"),
        ("twice", b"agent-port: 1\nagent-port: 2\n".to_vec(), "duplicate entry"),
        ("unknown", b"agent-port: 1\n\nport: 2\n".to_vec(), "no setting `port` (line 3)"),
        ("bytes", vec![0xff, 0, 1], "is not a text file"),
        ("huge", huge, "is larger than 1048576 bytes"),
    ];
    for (name, content, why) in table {
        put(&folder.path().join(name), &content);
        let started = Instant::now();

        let output = plan(folder.path(), &["--answers", name], &[]);

        assert!(started.elapsed() < AT_ONCE, "{name} took {:?}", started.elapsed());
        let finding = &document(&output)["findings"][0];
        assert_eq!(output.status.code(), Some(2), "{name}: {finding}");
        assert_eq!(finding["id"], json!("usage.answers"), "{name}");
        assert!(finding["what"].as_str().is_some_and(|what| what.contains(why)), "{finding}");
    }
    assert!(!folder.path().join("site").exists());
}

/// The encodings in which Windows editors save a text.
fn encoded(text: &str) -> [Vec<u8>; 3] {
    let marked = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let units = marked.encode_utf16();
    [
        marked.clone().into_bytes(),
        units.clone().flat_map(u16::to_le_bytes).collect(),
        units.flat_map(u16::to_be_bytes).collect(),
    ]
}

#[test]
fn answers_are_read_in_the_encodings_of_windows() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for bytes in encoded("agent-port: 6000\n# für\n") {
        put(&folder.path().join("mine.yaml"), &bytes);

        let document = document(&plan(folder.path(), &["--answers=mine.yaml"], &[]));

        let port = &document["settings"]["agent-port"];
        assert_eq!(*port, json!({ "value": "6000", "from": "answers" }), "{bytes:?}");
    }
}

#[test]
fn a_configuration_keeps_its_settings_whatever_editor_saved_it() {
    let conf = "site/opt/teradici/pcoipcm_data/data/ConnectionManager.conf";
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for bytes in encoded("# mine\nMaxConnections = 0\n") {
        put(&folder.path().join(conf), &bytes);

        let document = document(&plan(folder.path(), &[], &[]));

        // If the setting had been lost, there would be no finding about it.
        let found = document["findings"].to_string();
        assert!(found.contains("configuration.invalid"), "{bytes:?}: {found}");
        assert!(found.contains("MaxConnections"), "{bytes:?}: {found}");
    }
}

/// The file, its bytes, further flags, the id of the finding, and part of its fix.
type Refused<'a> = (&'a str, &'a [u8], &'a [&'a str], &'a str, &'a str);

#[test]
fn a_file_that_cannot_be_decoded_is_refused_by_its_name_with_a_fix() {
    let conf = "site/opt/teradici/pcoipcm_data/data/ConnectionManager.conf";
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let unmarked = &encoded("agent-port: 6000\n")[1][2..];
    let table: [Refused<'_>; 4] = [
        ("mine.yaml", unmarked, &["--answers=mine.yaml"], "usage.answers", "-f UTF-16LE"),
        ("mine.yaml", b"# f\xfcr\n", &["--answers=mine.yaml"], "usage.answers", "-f WINDOWS-1252"),
        (conf, b"BrokerType = f\xfcr\n", &[], "configuration.invalid", "-f WINDOWS-1252"),
        (conf, unmarked, &[], "configuration.invalid", "-f UTF-16LE"),
    ];
    for (name, bytes, words, id, fix) in table {
        put(&folder.path().join(name), bytes);

        let output = plan(folder.path(), words, &[]);

        let findings = document(&output)["findings"].clone();
        let found = findings.as_array().and_then(|all| all.iter().find(|one| one["id"] == id));
        let found = found.unwrap_or_else(|| panic!("{name}: {findings}"));
        assert_eq!(found["level"], "error");
        assert!(found["what"].to_string().contains(name), "{found}");
        assert!(found["cure"].to_string().contains(fix), "{found}");
        fs::remove_file(folder.path().join(name)).expect("it is there");
    }
}
