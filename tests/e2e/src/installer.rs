//! The installer on a machine of a test's own.

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

/// Has a command of a machine's know nothing of the settings of whoever runs the tests.
#[must_use]
pub fn plain(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PCOIP_CMSG_")) {
        command.env_remove(name);
    }
    command
}

/// Runs that installer on a machine, and has it answer with a document.
///
/// # Panics
///
/// Where it cannot be run.
#[must_use]
pub fn run(machine: &Machine, program: &Path, words: &[&str]) -> Output {
    let mut command = plain(machine.command(program));
    command.arg("--output=json").args(words).output().expect("the installer can be run")
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
