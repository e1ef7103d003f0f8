//! Standard output that cannot be written is an error.

use std::{
    fs::OpenOptions,
    io::pipe,
    path::Path,
    process::{Command, Output, Stdio},
};

use cli_tests::program;

const COMMANDS: [&[&str]; 7] = [
    &["--help"],
    &["install", "--help"],
    &["--version"],
    &["completions", "bash"],
    &["status", "--root=none", "--output=json"],
    &["install", "--unknown", "--output=json"],
    &[
        "validate",
        "--output=json",
        "--runtime=host",
        "--root=site",
        "--self-signed",
        "--accept-policies",
        "--external-pcoip-ip=192.0.2.1",
        "--broker-url=https://127.0.0.1:1",
        "--ignore-disk-req",
        "--daemon=/bin/true",
    ],
];

fn run(folder: &Path, words: &[&str], output: Stdio) -> Output {
    let mut command = Command::new(program("pcoip-cmsg-setup"));
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command.stdout(output).stderr(Stdio::piped());
    command.spawn().and_then(std::process::Child::wait_with_output).expect("the program starts")
}

#[test]
fn a_full_disk_is_a_failure() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for words in COMMANDS {
        let expected = run(folder.path(), words, Stdio::null()).status.code();
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");

        let output = run(folder.path(), words, full.into());

        let told = String::from_utf8_lossy(&output.stderr);
        let why = "error: failed to write to standard output: the disk is full";
        assert!(told.contains(why), "{words:?}: {told}");
        // An error of the command itself keeps its exit code.
        let code = if expected == Some(0) { Some(1) } else { expected };
        assert_eq!(output.status.code(), code, "{words:?}");
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for words in COMMANDS {
        let expected = run(folder.path(), words, Stdio::null());
        let (reader, writer) = pipe().expect("a pipe can be made");
        drop(reader);

        let output = run(folder.path(), words, writer.into());

        assert_eq!(output.status.code(), expected.status.code(), "{words:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&expected.stderr),
            "{words:?}"
        );
    }
}
