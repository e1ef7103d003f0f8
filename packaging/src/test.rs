//! `cargo xtask test`: runs all tests, with nextest if it is installed, and lists skipped tests
//! with their reasons at the end.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Context as _;

use crate::{
    binaries::{cargo, is_installed},
    images, screen, statics,
};

/// Tests with unmet requirements append a line to this file: name, tab, requirement.
const SKIPS: &str = "CMSG_TEST_SKIPS";
/// Set if no test may be skipped.
const ALL: &str = "CMSG_TEST_ALL";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fail if a test is skipped because it needs root, a tool or a network namespace
    #[arg(long)]
    all: bool,
    /// Arguments for the test runner, for example a part of a test name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let built = cargo().args(["build", "--workspace", "--bins"]).status();
    if !built.context("starting `cargo build`")?.success() {
        return Ok(ExitCode::FAILURE);
    }
    build_statics()?;
    let skips =
        tempfile::NamedTempFile::new().context("creating the file for the skipped tests")?;
    let mut tests = runner();
    tests.args(&options.rest).env(SKIPS, skips.path());
    if options.all {
        tests.env(ALL, "1");
    }
    let passed = tests.status().context("starting the test runner")?.success();
    tell_skipped(skips.path())?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the programs for tests with images and packages, if these can run. Compiles fast rather
/// than to fast code.
fn build_statics() -> anyhow::Result<()> {
    const PROFILE: &str = "dev";
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let (has_engine, has_packager) = (is_installed("dockerd"), is_installed("rpmbuild"));
    if has_engine || has_packager {
        let daemon = statics::build(statics::DAEMON, PROFILE)?;
        let own = std::env::current_exe().context("locating the executable")?;
        let version = env!("CARGO_PKG_VERSION");
        images::make(&daemon, version, &own.with_file_name(images::ARCHIVE))?;
    }
    if has_packager {
        statics::build(statics::INSTALLER, PROFILE)?;
    }
    Ok(())
}

fn runner() -> Command {
    let nextest = cargo().args(["nextest", "--version"]).output();
    let mut command = cargo();
    if nextest.is_ok_and(|output| output.status.success()) {
        command.args(["nextest", "run", "--workspace"]);
    } else {
        command.args(["test", "--workspace", "--quiet"]);
    }
    // Tests compare what programs print, which these would colour.
    for name in ["CLICOLOR", "CLICOLOR_FORCE", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

fn tell_skipped(skips: &Path) -> anyhow::Result<()> {
    let skipped = std::fs::read_to_string(skips).context("reading the skipped tests")?;
    let skipped: BTreeSet<_> = skipped.lines().collect();
    if skipped.is_empty() {
        return Ok(());
    }
    screen::note(&format!("\n{} skipped:", skipped.len()));
    for line in skipped {
        let (test, lacks) = line.split_once('\t').unwrap_or((line, "it does not report a reason"));
        screen::note(&format!("  {test}: {lacks}"));
    }
    Ok(())
}
