//! `cargo xtask bench …`: measurements. They take minutes and all CPUs, so they are not tests.

use std::process::ExitCode;

mod abuse;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Attack both services on the loopback while users log on, and report the effect on users
    Abuse(abuse::Options),
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    match &options.command {
        Command::Abuse(options) => abuse::run(options),
    }
}
