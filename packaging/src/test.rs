//! `cargo xtask test`: every test, with nextest where it is installed, and at the end what was
//! skipped and why.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Context as _;

use crate::{binaries::cargo, images, screen};

/// A test that lacks something writes a line into this file: its name, a tab, what it lacks.
const SKIPS: &str = "CMSG_TEST_SKIPS";
/// Set where nothing may be lacking.
const ALL: &str = "CMSG_TEST_ALL";

/// What to test.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fail where a test is skipped for want of root, a tool or a network namespace
    #[arg(long)]
    all: bool,
    /// Passed on to the test runner, e.g. part of a test's name
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let built = cargo().args(["build", "--workspace", "--bins"]).status();
    if !built.context("starting `cargo build`")?.success() {
        return Ok(ExitCode::FAILURE);
    }
    if has_engine() {
        let own = std::env::current_exe().context("finding the own executable")?;
        images::make_for_tests(own.with_file_name(images::ARCHIVE))?;
    }
    let skips = tempfile::NamedTempFile::new().context("making a file for the skipped tests")?;
    let mut tests = runner();
    tests.args(&options.rest).env(SKIPS, skips.path());
    if options.all {
        tests.env(ALL, "1");
    }
    let passed = tests.status().context("starting the test runner")?.success();
    tell_skipped(skips.path())?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the tests on a Docker engine can run; only they need images.
fn has_engine() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_here = std::env::split_paths(&path).any(|folder| folder.join("dockerd").is_file());
    is_here && nix::unistd::geteuid().is_root()
}

fn runner() -> Command {
    let nextest = cargo().args(["nextest", "--version"]).output();
    let mut command = cargo();
    if nextest.is_ok_and(|output| output.status.success()) {
        command.args(["nextest", "run", "--workspace"]);
    } else {
        command.args(["test", "--workspace", "--quiet"]);
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
        let (test, lacks) = line.split_once('\t').unwrap_or((line, "it does not say why"));
        screen::note(&format!("  {test}: {lacks}"));
    }
    Ok(())
}
