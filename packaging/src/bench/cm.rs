//! `cargo xtask bench cm`: log-ons through the Connection Manager, and through other proxies in
//! front of the same broker. The servers run on one CPU, and everything else on another.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::LocalSet,
};

use super::{
    Output, run_optimised,
    sg::{raise_limit, replace},
};
use crate::{binaries::Binaries, screen};
use fakes::Fakes;
use identity::Certificates;
use load::Mode;
use report::Report;
use rounds::Plan;
use server::{Kind, Server, Site};

mod disk;
mod fakes;
mod identity;
mod load;
mod log_on;
mod memory;
mod messages;
mod plot;
mod report;
mod rounds;
mod server;
mod tables;
mod wire;

/// A part of the benchmark.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Log-ons as fast as each server answers
    Saturation,
    /// Latency at half of the rate that the slowest server reaches
    HalfLoad,
    /// Memory of sessions whose clients are connected, and after they have disconnected
    Memory,
    /// Memory a minute after a storm of log-ons. Not by default
    Storm,
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure only these parts [default: all except `storm`]
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
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
    /// Sessions in the parts `memory` and `storm`
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u16).range(100..=9000))]
    sessions: u16,
    /// Log level of the Connection Manager and the gateway
    #[arg(long, default_value = "info", value_parser = ["info", "trace"])]
    log_level: String,
    /// Use the binaries in this directory instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Draw the CPU time as SVG
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = "docs/pictures/manager-cost.svg"
    )]
    plot: Option<PathBuf>,
    /// Format of the report
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// The CPU of the servers, and that of the broker, agents and clients.
const SERVERS: usize = 0;
const OTHERS: usize = 1;

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) && options.binaries.is_none() {
        return run_optimised();
    }
    let binaries = match &options.binaries {
        Some(folder) => Binaries::at(&folder.canonicalize().context("finding the binaries")?),
        None => Binaries::release(&["pcoip-cmsgd"])?,
    };
    raise_limit()?;
    pin(OTHERS).context("the benchmark needs two CPUs")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tasks = LocalSet::new();
    let measuring = tasks.run_until(interruptible(measure(options, &binaries)));
    let Some(report) = runtime.context("starting the runtime")?.block_on(measuring)? else {
        screen::note("interrupted");
        return Ok(ExitCode::from(130));
    };
    match options.output {
        Output::Json => screen::data(&serde_json::to_string(&report).context("writing JSON")?),
        Output::Text => tables::lines(&report).iter().for_each(|line| screen::data(line)),
    }
    if let Some(path) = &options.plot {
        let svg = plot::draw(&report.cpu_ms());
        replace(path, &svg.context("a plot needs the part `saturation`")?)?;
    }
    let failed = report.failed();
    if failed > 0 {
        bail!("{failed} errors: the figures are not valid");
    }
    Ok(ExitCode::SUCCESS)
}

/// `None` if a signal arrives first.
async fn interruptible<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [interrupt, terminate, hangup] = signals.map(signal);
    let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
    tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(None),
        _ = terminate.recv() => Ok(None),
        _ = hangup.recv() => Ok(None),
        done = work => done.map(Some),
    }
}

async fn measure(options: &Options, binaries: &Binaries) -> anyhow::Result<Report> {
    let folder = tempfile::Builder::new().prefix("pcoip-bench-").tempdir();
    let folder = folder.context("creating a temporary directory")?;
    let certificates = Certificates::generate(folder.path())?;
    let fakes = Fakes::start(&certificates).await?;
    let site = Site {
        binaries,
        folder: folder.path(),
        certificates: &certificates,
        fakes: &fakes,
        log_level: &options.log_level,
    };
    let kinds = options.kinds()?;
    let mut report = Report::default();
    let plan = options.plan();
    if plan.saturation || plan.half_load {
        let mut servers = Vec::new();
        for kind in &kinds {
            servers.push(Server::start(*kind, &site).await?);
        }
        for mode in Mode::value_variants().iter().filter(|it| is_chosen(&options.mode, it)) {
            rounds::measure(&site, (*mode, plan), &servers, &mut report).await?;
        }
    }
    if options.measures(Part::Memory) {
        report.memory = memory::hold(&site, &kinds, options.sessions).await?;
    }
    if options.measures(Part::Storm) {
        report.storms = memory::storm(&site, &kinds, options.sessions).await?;
    }
    Ok(report)
}

impl Options {
    /// The servers that can be measured.
    fn kinds(&self) -> anyhow::Result<Vec<Kind>> {
        let mut kinds = Vec::new();
        for &kind in Kind::value_variants().iter().filter(|it| is_chosen(&self.server, it)) {
            match kind.missing() {
                Some(program) => screen::note(&format!("`{program}` is not installed: skipped")),
                None if kind == Kind::Direct => {}
                None => kinds.push(kind),
            }
        }
        if kinds.is_empty() {
            bail!("no server is left to be measured");
        }
        let connections = usize::from(self.sessions) * kinds.len() * 2;
        if self.measures(Part::Memory) && connections > MAX_CONNECTIONS {
            bail!("the sessions need {connections} files: lower `--sessions`, or use `--server`");
        }
        Ok(kinds)
    }

    fn measures(&self, part: Part) -> bool {
        match self.only.as_slice() {
            [] => part != Part::Storm,
            only => only.contains(&part),
        }
    }

    fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds,
            time: Duration::from_secs(self.seconds),
            clients: self.clients,
            saturation: self.measures(Part::Saturation),
            half_load: self.measures(Part::HalfLoad),
        }
    }
}

/// Of clients and the broker, which share a process with 20,000 open files.
const MAX_CONNECTIONS: usize = 18_000;

fn is_chosen<T: PartialEq>(chosen: &[T], it: &T) -> bool {
    chosen.is_empty() || chosen.contains(it)
}

fn pin(cpu: usize) -> anyhow::Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cpus)?)
}
