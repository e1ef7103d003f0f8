//! Runs the installer and reads its documents.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::machine::Machine;

/// Arguments that install both roles in Docker Swarm, with a broker that does not exist.
pub const INSTALL: [&str; 6] = [
    "install",
    "--accept-policies",
    "--self-signed",
    "--ignore-disk-req",
    "--broker-url=https://127.0.0.1:1",
    "--external-pcoip-ip=192.0.2.1",
];

/// Arguments that install both roles directly on the host, with a broker that does not exist.
pub const INSTALL_ON_HOST: [&str; 7] = [
    "install",
    "--runtime=host",
    "--accept-policies",
    "--self-signed",
    "--ignore-disk-req",
    "--broker-url=https://127.0.0.1:1",
    "--external-pcoip-ip=192.0.2.1",
];

/// Arguments that remove everything.
pub const PURGE: [&str; 3] = ["uninstall", "--yes", "--purge"];

/// These arguments with more flags, which replace those with the same name.
#[must_use]
pub fn with<'a>(words: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    let named = |name: &&str| flags.iter().any(|flag| self::name(flag) == self::name(name));
    words.iter().filter(|word| !named(word)).chain(flags).copied().collect()
}

/// The name of the flag in an argument.
#[must_use]
pub fn name(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// A machine with an engine that meets the requirements of an installation.
///
/// # Panics
///
/// If the system refuses.
#[must_use]
pub fn machine() -> Machine {
    let mut machine = Machine::start();
    machine.tell("ip", &["address", "add", "192.0.2.1/32", "dev", "lo"]);
    // Without name servers, nothing waits for DNS timeouts.
    machine.tell("bash", &["-c", "echo >/etc/resolv.conf"]);
    // firewalld rewrites its own files and is slow; other tests cover it.
    machine.tell("bash", &["-c", "rm -f /etc/systemd/system/multi-user.target.wants/firewalld*"]);
    machine.start_engine();
    machine
}

/// Removes the installer's environment variables of the user who runs the tests.
pub fn plain(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PCOIP_CMSG_")) {
        command.env_remove(name);
    }
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    command
}

/// The installer on a machine, with JSON output.
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
/// If it cannot be run.
#[must_use]
pub fn run(machine: &Machine, program: &Path, words: &[&str]) -> Output {
    command(machine, program, words).output().expect("the installer can be run")
}

/// How it ended, and its document.
///
/// # Panics
///
/// If there is none.
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
/// If there is none.
#[must_use]
pub fn document(output: &Output) -> Value {
    told(output).1
}
