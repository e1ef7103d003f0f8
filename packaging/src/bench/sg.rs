//! `cargo xtask bench sg`: the Security Gateway, other relays and plain routing with the same
//! traffic, in network namespaces of this host. One CPU is the gateway, another one the rest of the
//! world.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::Uid,
};
use tokio::signal::unix::{SignalKind, signal};

use super::{Output, run_optimised};
use crate::{
    binaries::{Binaries, is_installed},
    screen,
};
use cells::{Bench, Cell, Plan};
use janitor::Janitor;
use relays::Product;
use report::{Report, Skipped};
use rig::Rig;

mod cells;
pub(super) mod janitor;
mod network;
mod orders;
mod plot;
mod relays;
mod report;
mod rig;
mod search;
pub(super) mod site;
mod soak;
pub(super) mod statistics;
mod wire;
mod worker;
mod workers;

pub(super) use janitor::run as run_janitor;
pub(super) use worker::{Options as WorkerOptions, run as run_worker};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure only these cells [default: all]
    #[arg(long, value_enum, value_name = "CELL")]
    only: Vec<Cell>,
    /// Measure only these relays [default: all]
    #[arg(long, value_enum, value_name = "RELAY")]
    relay: Vec<Product>,
    /// Measure this daemon instead of building one. Repeat it to compare several
    #[arg(long, value_name = "FILE")]
    daemon: Vec<PathBuf>,
    /// Number of measurements of each relay, whose median is reported
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds of a measurement
    #[arg(long, default_value_t = 1.5, value_parser = seconds)]
    seconds: f64,
    /// Largest number of sessions
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..=7200))]
    sessions: u32,
    /// Unknown datagrams per second in the cell `flood` [default: 300000, 500000 and 600000]
    #[arg(long, value_name = "RATE")]
    flood: Vec<u32>,
    /// Minutes of the cell `soak`
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=50))]
    minutes: u32,
    /// Draw the cell `sessions` as SVG
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = "docs/pictures/gateway-cost.svg"
    )]
    plot: Option<PathBuf>,
    /// Format of the report
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        return run_optimised();
    }
    check_host()?;
    let daemons = match options.daemon.as_slice() {
        [] if !options.measures(Product::Gateway) => Vec::new(),
        [] => vec![Binaries::release(&["pcoip-cmsgd"])?.path("pcoip-cmsgd")],
        daemons => daemons.iter().map(|path| absolute(path)).collect::<anyhow::Result<_>>()?,
    };
    raise_limit()?;
    let plan = options.plan()?;
    let (products, skipped) = options.products();
    let janitor = Arc::new(Janitor::start()?);
    let measuring = {
        let janitor = Arc::clone(&janitor);
        let mut report = Report::new(plan.rounds, plan.seconds);
        report.skipped = skipped;
        move || measure(&janitor, &plan, (&products, &daemons), report)
    };
    let report = interruptible(measuring)?;
    janitor.finish();
    let Some(report) = report else {
        screen::note("interrupted");
        return Ok(ExitCode::from(130));
    };
    let report = report?;
    match options.output {
        Output::Json => screen::data(&serde_json::to_string(&report).context("writing JSON")?),
        Output::Text => report.table().iter().for_each(|line| screen::data(line)),
    }
    if let Some(path) = &options.plot {
        let svg = plot::draw(&report.rows, "sessions");
        replace(path, &svg.context("a plot needs the cell `sessions` with several numbers")?)?;
    }
    if report.wrong() > 0 {
        bail!("the gateway delivered {} datagrams to a wrong place", report.wrong());
    }
    if !report.failures.is_empty() {
        bail!("{}", report.failures.join("; "));
    }
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn measures(&self, product: Product) -> bool {
        self.relay.is_empty() || self.relay.contains(&product)
    }

    fn plan(&self) -> anyhow::Result<Plan> {
        let all = <Cell as clap::ValueEnum>::value_variants().iter().copied();
        let cells: Vec<_> = match self.only.as_slice() {
            [] => all.filter(|cell| *cell != Cell::Soak).collect(),
            only => only.to_vec(),
        };
        if cells.len() > 1 && cells.contains(&Cell::Soak) {
            bail!("`soak` cannot be combined with other cells: it ends the sessions");
        }
        let floods = if self.flood.is_empty() { FLOODS.to_vec() } else { self.flood.clone() };
        let &Self { rounds, seconds, sessions: max_sessions, minutes, .. } = self;
        Ok(Plan { cells, rounds, seconds, max_sessions, floods, minutes })
    }

    /// The relays to measure, and those that cannot be measured.
    fn products(&self) -> (Vec<Product>, Vec<Skipped>) {
        let (mut products, mut skipped) = (Vec::new(), Vec::new());
        for &product in <Product as clap::ValueEnum>::value_variants() {
            match product.missing() {
                _ if !self.measures(product) => {}
                None => products.push(product),
                Some(missing) => {
                    screen::note(&format!("skipping {}: {missing} missing", product.name()));
                    let (relay, missing) = (product.name().to_owned(), missing.to_owned());
                    skipped.push(Skipped { relay, missing });
                }
            }
        }
        (products, skipped)
    }
}

const FLOODS: [u32; 3] = [300_000, 500_000, 600_000];

fn measure(
    janitor: &Janitor,
    plan: &Plan,
    (products, daemons): (&[Product], &[PathBuf]),
    report: Report,
) -> anyhow::Result<Report> {
    screen::note("starting the network and the relays");
    let rig = Rig::start(janitor, products, daemons, plan.max_sessions)?;
    let mut bench = Bench { rig, janitor, plan, report };
    bench.run()?;
    Ok(bench.report)
}

/// Runs this in a thread, until it ends or a signal arrives. The clean-up process then stops
/// everything that the thread started.
pub(super) fn interruptible<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<Option<T>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("starting the runtime")?;
    let result = runtime.block_on(async {
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = signals.map(signal);
        let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
        let work = tokio::task::spawn_blocking(work);
        tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(None),
            _ = terminate.recv() => Ok(None),
            _ = hangup.recv() => Ok(None),
            done = work => done.context("measuring").map(Some),
        }
    });
    runtime.shutdown_background();
    result
}

fn check_host() -> anyhow::Result<()> {
    if !Uid::effective().is_root() {
        bail!("the benchmark needs root: it makes network namespaces");
    }
    let programs = ["ip", "tc", "ethtool", "taskset", "chrt", "setpriv"];
    let missing: Vec<_> = programs.into_iter().filter(|program| !is_installed(program)).collect();
    if !missing.is_empty() {
        bail!("these programs are not installed: {}", missing.join(", "));
    }
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        bail!("the benchmark needs two CPUs: one for the gateway, one for everything else");
    }
    Ok(())
}

/// Every session takes two file descriptors of a gateway.
pub(super) fn raise_limit() -> anyhow::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("asking for the limit of files")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(DESCRIPTORS), hard)
        .context("raising the limit of files")
}

const DESCRIPTORS: u64 = 20_000;

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("locating `{}`", path.display()))
}

pub(super) fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing `{}`", path.display()))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err("not between 0.1 and 600".to_owned())
    }
}
