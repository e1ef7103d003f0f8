//! `cargo xtask bench cm`: log-ons through the Connection Manager, and through other proxies in
//! front of the same broker. The servers run on one CPU, and everything else on another.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use tokio::task::LocalSet;

use super::{Output, run_optimised};
use crate::{binaries::Binaries, screen};
use fakes::Fakes;
use identity::Certificates;
use load::{Load, Mode};
use report::{Report, Round};
use server::{Kind, Server};

mod fakes;
mod identity;
mod load;
mod log_on;
mod messages;
mod report;
mod server;
mod wire;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure only these modes [default: all]
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Vec<Mode>,
    /// Measure only these servers [default: all]
    #[arg(long, value_enum, value_name = "SERVER")]
    server: Vec<Kind>,
    /// Number of rounds
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of load in each round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=900))]
    seconds: u64,
    /// Clients that log on at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// Log level of the Connection Manager and the gateway
    #[arg(long, default_value = "info", value_parser = ["info", "trace"])]
    log_level: String,
    /// Use the binaries in this directory instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Format of the report
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// The CPU of the servers, and that of the broker, agents and clients.
const SERVERS: usize = 0;
const OTHERS: usize = 1;

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        return run_optimised();
    }
    let binaries = match &options.binaries {
        Some(folder) => Binaries::at(&folder.canonicalize().context("finding the binaries")?),
        None => Binaries::release(&["pcoip-cmsgd"])?,
    };
    pin(OTHERS).context("the benchmark needs two CPUs")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tasks = LocalSet::new();
    let measuring = tasks.run_until(measure(options, &binaries));
    let report = runtime.context("starting the runtime")?.block_on(measuring)?;
    match options.output {
        Output::Json => screen::data(&serde_json::to_string(&report).context("writing JSON")?),
        Output::Text => report.table().iter().for_each(|line| screen::data(line)),
    }
    Ok(if report.has_errors() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(options: &Options, binaries: &Binaries) -> anyhow::Result<Report> {
    let folder = tempfile::Builder::new().prefix("pcoip-bench-").tempdir();
    let folder = folder.context("creating a temporary directory")?;
    let certificates = Certificates::generate(folder.path())?;
    let fakes = Fakes::start(&certificates).await?;
    let mut servers = Vec::new();
    for kind in Kind::value_variants().iter().filter(|it| is_chosen(&options.server, it)) {
        match kind.missing() {
            Some(program) => screen::note(&format!("`{program}` is not installed: skipped")),
            None => servers.push(
                Server::start(*kind, binaries, folder.path(), (&fakes, &options.log_level)).await?,
            ),
        }
    }
    if servers.is_empty() {
        bail!("no server is left to be measured");
    }
    let mut report = Report::default();
    for mode in Mode::value_variants().iter().filter(|it| is_chosen(&options.mode, it)) {
        let mut loads: Vec<_> = servers
            .iter()
            .map(|server| Load::new(*mode, &certificates, server.address, options.clients))
            .collect();
        for number in 0..=options.rounds {
            for (server, load) in servers.iter().zip(&mut loads) {
                let before = server.used();
                let ran = load.run(Duration::from_secs(options.seconds)).await;
                let used = server.used() - before;
                // The first round opens connections and fills caches.
                if number > 0 {
                    let round = Round::new(*mode, server.kind, &ran, used);
                    screen::note(&round.line());
                    report.rounds.push(round);
                }
            }
        }
    }
    Ok(report)
}

fn is_chosen<T: PartialEq>(chosen: &[T], it: &T) -> bool {
    chosen.is_empty() || chosen.contains(it)
}

fn pin(cpu: usize) -> anyhow::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cpus)?)
}
