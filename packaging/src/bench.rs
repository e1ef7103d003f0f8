//! `cargo xtask bench …`: measurements. They take minutes and all CPUs, so they are not tests.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::binaries::cargo;

mod abuse;
mod cm;
mod failover;
mod process;
mod sg;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Attack both services on the loopback while users log on, and report the effect on users
    Abuse(abuse::Options),
    /// Compare the Connection Manager with other proxies on the loopback
    Cm(cm::Options),
    /// Make gateways fail in network namespaces, and report what their sessions notice
    Failover(failover::Options),
    /// Compare the Security Gateway with other relays in network namespaces
    Sg(sg::Options),
    #[command(hide = true)]
    SgWorker(sg::WorkerOptions),
    #[command(hide = true)]
    SgJanitor,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    match &options.command {
        Command::Abuse(options) => abuse::run(options),
        Command::Cm(options) => cm::run(options),
        Command::Failover(options) => failover::run(options),
        Command::Sg(options) => sg::run(options),
        Command::SgWorker(options) => sg::run_worker(options),
        Command::SgJanitor => Ok(sg::run_janitor()),
    }
}

/// Runs the same command from an optimized build: otherwise, the attacker would be the bottleneck.
fn run_optimised() -> anyhow::Result<ExitCode> {
    let mut command = cargo();
    command.args(["run", "--release", "--quiet", "--package", "xtask", "--"]);
    let status = command.args(std::env::args_os().skip(1)).status();
    let status = status.context("starting `cargo run`")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, Into::into))
}
