//! `cargo xtask bench …`: measurements that are no tests. They take minutes and the whole machine.

use std::process::ExitCode;

mod abuse;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Attack both services on the loopback while users log on, and report what they notice
    Abuse(abuse::Options),
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    match &options.command {
        Command::Abuse(options) => abuse::run(options),
    }
}
