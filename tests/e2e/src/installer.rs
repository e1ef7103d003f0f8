//! The installer: what tests tell it, and what it tells them.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::machine::Machine;

/// Words of an installation of both roles in Docker Swarm, whose broker is away.
pub const INSTALL: [&str; 6] = [
    "install",
    "--accept-policies",
    "--self-signed",
    "--ignore-disk-req",
    "--broker-url=https://127.0.0.1:1",
    "--external-pcoip-ip=192.0.2.1",
];

/// Words of an installation of both roles on the host itself, whose broker is away.
pub const INSTALL_ON_HOST: [&str; 7] = [
    "install",
    "--runtime=host",
    "--accept-policies",
    "--self-signed",
    "--ignore-disk-req",
    "--broker-url=https://127.0.0.1:1",
    "--external-pcoip-ip=192.0.2.1",
];

/// What leaves nothing.
pub const PURGE: [&str; 3] = ["uninstall", "--yes", "--purge"];

/// These words with more flags, which stand in place of those of the same name.
#[must_use]
pub fn with<'a>(words: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    let named = |name: &&str| flags.iter().any(|flag| self::name(flag) == self::name(name));
    words.iter().filter(|word| !named(word)).chain(flags).copied().collect()
}

/// The name of a flag that a word gives.
#[must_use]
pub fn name(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// A machine with an engine, on which such an installation finds all that it needs.
///
/// # Panics
///
/// Where the system does not let us.
#[must_use]
pub fn machine() -> Machine {
    let mut machine = Machine::start();
    machine.tell("ip", &["address", "add", "192.0.2.1/32", "dev", "lo"]);
    // Nobody waits for servers that are not there.
    machine.tell("bash", &["-c", "echo >/etc/resolv.conf"]);
    // Its tools rewrite files of its own, and take their time; that is another story.
    machine.tell("bash", &["-c", "rm -f /etc/systemd/system/multi-user.target.wants/firewalld*"]);
    machine.start_engine();
    machine
}

/// Has a command know nothing of the settings of whoever runs the tests.
pub fn plain(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PCOIP_CMSG_")) {
        command.env_remove(name);
    }
    command
}

/// That installer on a machine, which answers with a document.
#[must_use]
pub fn command(machine: &Machine, program: &Path, words: &[&str]) -> Command {
    let mut command = machine.command(program);
    plain(&mut command).arg("--output=json").args(words);
    command
}

/// Runs that installer on a machine, and has it answer with a document.
///
/// # Panics
///
/// Where it cannot be run.
#[must_use]
pub fn run(machine: &Machine, program: &Path, words: &[&str]) -> Output {
    command(machine, program, words).output().expect("the installer can be run")
}

/// How it ended, and its document.
///
/// # Panics
///
/// Where there is none.
#[must_use]
pub fn told(output: &Output) -> (Option<i32>, Value) {
    let said = String::from_utf8_lossy(&output.stderr);
    let document = serde_json::from_slice(&output.stdout);
    (output.status.code(), document.unwrap_or_else(|_| panic!("no document: {said}")))
}

/// Its document.
///
/// # Panics
///
/// Where there is none.
#[must_use]
pub fn document(output: &Output) -> Value {
    told(output).1
}
