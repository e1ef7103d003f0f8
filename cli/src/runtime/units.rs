//! systemd as keeper of the roles, by its own `systemctl`: on the machine itself, where it is the
//! first process and the role's unit is installed.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use anyhow::{Context as _, bail};
use cmsg_config::{Paths, socket::Role};

use crate::installation::layout;

/// So much of the journal is shown: of the roles that were just started.
const TAIL: [&str; 5] = ["--lines=8", "--since=-1min", "--output=cat", "--no-pager", "--quiet"];

/// The unit of Docker's engine.
const ENGINE: &str = "docker";

/// Whether systemd is the first process, asked as `sd_booted` does.
pub(crate) fn is_booted() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Whether a role is kept by its unit and not by the supervisor.
pub(crate) fn keep(paths: &Paths, role: Role) -> bool {
    layout::is_machine(paths) && is_booted() && layout::unit(paths, role).exists()
}

/// Whether a unit runs, or is about to: systemd starts one again that has ended.
///
/// # Errors
///
/// Where systemd cannot be asked.
pub(crate) fn is_running(role: Role) -> anyhow::Result<bool> {
    // It ends with another code than 0 where the unit is not active, and says so all the same.
    let said = output(&["is-active", &layout::unit_name(role)])?;
    let state = String::from_utf8_lossy(&said.stdout);
    Ok(["active", "activating", "deactivating", "reloading"].contains(&state.trim()))
}

/// Starts a unit. Whether its role comes to life its socket tells.
///
/// # Errors
///
/// Where systemd refuses.
pub(crate) fn start(role: Role) -> anyhow::Result<()> {
    run(&["start", "--no-block", &layout::unit_name(role)])
}

/// Stops a unit and waits until it has.
///
/// # Errors
///
/// Where systemd refuses.
pub(crate) fn stop(role: Role) -> anyhow::Result<()> {
    run(&["stop", &layout::unit_name(role)])
}

/// Has systemd read its units anew, where it runs.
///
/// # Errors
///
/// Where it refuses.
pub(crate) fn reload() -> anyhow::Result<()> {
    if is_booted() { run(&["daemon-reload"]) } else { Ok(()) }
}

/// Has a unit started at boot.
///
/// # Errors
///
/// Where systemd refuses.
pub(crate) fn enable(role: Role) -> anyhow::Result<()> {
    run(&["enable", &layout::unit_name(role)])
}

/// Has a unit not started at boot; one that is not there is not.
///
/// # Errors
///
/// Where systemd refuses.
pub(crate) fn disable(paths: &Paths, role: Role) -> anyhow::Result<()> {
    if !layout::unit(paths, role).exists() {
        return Ok(());
    }
    run(&["disable", &layout::unit_name(role)])
}

/// Has Docker's engine run, now and from every boot on.
///
/// # Errors
///
/// Where systemd refuses, or the engine does not come up.
pub(crate) fn start_engine() -> anyhow::Result<()> {
    run(&["enable", "--now", ENGINE])
}

/// Has Docker's engine start at boot, or not.
///
/// # Errors
///
/// Where systemd refuses.
pub(crate) fn set_engine_at_boot(starts: bool) -> anyhow::Result<()> {
    run(&[if starts { "enable" } else { "disable" }, ENGINE])
}

/// Whether systemd says that Docker's engine is not started at boot.
pub(crate) fn is_engine_left_at_boot() -> bool {
    let is_disabled = |said: Output| said.stdout.trim_ascii() == b"disabled";
    is_booted() && output(&["is-enabled", ENGINE]).is_ok_and(is_disabled)
}

/// The last lines that roles have printed.
pub(crate) fn log_tail() -> Vec<String> {
    let units = [Role::Cm, Role::Sg].map(|role| format!("--unit={}", layout::unit_name(role)));
    let output = Command::new("journalctl").args(units).args(TAIL).stdin(Stdio::null()).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    // A log quotes what peers sent; a terminal takes no orders from them.
    let plain = |line: &str| line.replace(char::is_control, " ");
    String::from_utf8_lossy(&text).lines().map(plain).collect()
}

fn run(words: &[&str]) -> anyhow::Result<()> {
    let output = output(words)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().replace(char::is_control, " ");
    bail!("`systemctl {}` ended with {}: {said}", words.join(" "), output.status)
}

fn output(words: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new("systemctl");
    command.args(words).stdin(Stdio::null()).output().context("failed to run `systemctl`")
}
