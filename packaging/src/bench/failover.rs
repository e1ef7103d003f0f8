//! `cargo xtask bench failover`: a Connection Manager, three gateways and simulated clients and
//! agents in network namespaces, with keepalived. Each fault is measured with sites of its own.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use cmsg_config::socket::Role;
use nix::unistd::Uid;
use serde::Serialize;

use super::{
    Output, run_optimised,
    sg::{interruptible, janitor::Janitor},
};
use crate::{
    binaries::{Binaries, is_installed},
    screen,
};
use between::Between;
use clients::{Clients, Noticed};
use network::{SHARED, Side};
use site::{GATEWAYS, MANAGER, Site};

mod between;
mod clients;
mod network;
mod site;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure only these faults [default: all]
    #[arg(long, value_enum, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Number of sessions
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(4..=2000))]
    sessions: u16,
    /// Let agents end a session without a control connection
    #[arg(long)]
    strict_agents: bool,
    /// Use the binaries in this directory instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Format of the report
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fault {
    /// Nothing happens
    None,
    /// The gateway's process is killed
    Kill,
    /// The gateway's process is killed, and starts again after half a second
    Restart,
    /// All packets of the gateway's host are dropped
    Drop,
    /// All packets of the gateway's host are dropped for a minute
    Return,
    /// Both gateways with the shared address are killed, and start again after two seconds
    Both,
    /// The Connection Manager is killed
    Manager,
    /// The two gateways cannot reach each other for ten seconds, and both have the shared address
    Split,
    /// The process is killed; the third gateway has no peers, as one of an earlier version
    Former,
    /// Nothing fails. One session a second comes and goes, for half a minute
    Churn,
    /// A gateway starts again without its journal, while its peers know 5,000 more sessions
    Resync,
}

impl Fault {
    const ALL: [Self; 11] = [
        Self::None,
        Self::Kill,
        Self::Restart,
        Self::Drop,
        Self::Return,
        Self::Both,
        Self::Manager,
        Self::Split,
        Self::Former,
        Self::Churn,
        Self::Resync,
    ];

    /// From the fault to the end of the clients.
    fn lasts(self) -> Duration {
        Duration::from_secs(match self {
            Self::Return => 75,
            Self::Split => 25,
            Self::Churn => 45,
            _ => 15,
        })
    }
}

/// What a fault caused.
#[derive(Debug, Serialize)]
struct Result {
    fault: Fault,
    sessions: usize,
    noticed: Vec<Noticed>,
    /// Violations of the protocol that the agent noticed, besides datagrams that it does not accept
    /// because it is strict.
    violations: usize,
    /// Which gateway has the shared address in the end.
    holder: Option<u8>,
    /// Sessions that each gateway serves in the end.
    serving: Vec<Option<usize>>,
    /// How long all clients took to log on.
    seconds_to_log_on: f64,
    /// What gateways sent to each other because of the fault.
    between: Option<Between>,
}

pub(super) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    check_host()?;
    let binaries = match &options.binaries {
        Some(folder) => Binaries::at(&folder.canonicalize().context("finding the binaries")?),
        None if cfg!(debug_assertions) => return run_optimised(),
        None => Binaries::release(&["pcoip-cmsgd", "pcoip-sim"])?,
    };
    let faults = if options.fault.is_empty() { Fault::ALL.to_vec() } else { options.fault.clone() };
    let (count, is_strict) = (options.sessions / 4, options.strict_agents);
    let mut results = Vec::new();
    for fault in faults {
        screen::note(&format!("{fault:?}"));
        let janitor = Arc::new(Janitor::start()?);
        let measuring = {
            let (janitor, binaries) = (Arc::clone(&janitor), binaries.clone());
            move || measure(&janitor, binaries, fault, (count, is_strict))
        };
        let result = interruptible(measuring)?;
        janitor.finish();
        let Some(result) = result else {
            screen::note("interrupted");
            return Ok(ExitCode::from(130));
        };
        let result = result.with_context(|| format!("measuring the fault {fault:?}"))?;
        if options.output == Output::Text {
            result.lines().iter().for_each(|line| screen::data(line));
        }
        results.push(result);
    }
    if options.output == Output::Json {
        screen::data(&serde_json::to_string(&results).context("writing JSON")?);
    }
    Ok(ExitCode::SUCCESS)
}

fn check_host() -> anyhow::Result<()> {
    if !Uid::effective().is_root() {
        bail!("the benchmark needs root: it makes network namespaces");
    }
    let programs = ["ip", "bridge", "setpriv", "keepalived", "curl"];
    let missing: Vec<_> = programs.into_iter().filter(|program| !is_installed(program)).collect();
    if !missing.is_empty() {
        bail!("these programs are not installed: {}", missing.join(", "));
    }
    Ok(())
}

fn measure(
    janitor: &Janitor,
    binaries: Binaries,
    fault: Fault,
    (count, is_strict): (u16, bool),
) -> anyhow::Result<Result> {
    let mut site = Site::start(janitor, binaries, fault == Fault::Former, is_strict)?;
    let started = Instant::now();
    // Clients that have logged on wait for the others.
    let hold = fault.lasts() + LOG_ON * u32::from(count) / 50;
    let clients = Clients::start(&site, count, hold)?;
    let seconds_to_log_on = started.elapsed().as_secs_f64();
    // Flows are reported within 200 ms.
    sleep(Duration::from_millis(500));
    let between = cause(&mut site, fault)?;
    let sessions = clients.total();
    let noticed = clients.finish(&[Side::Wan.address(SHARED)])?;
    let events = site.agent_events();
    let is_violation = |event: &&serde_json::Value| {
        let what = event["what"].as_str().unwrap_or_default();
        event["event"] == "violation" && !what.contains("has no control connection")
    };
    let serving = GATEWAYS.map(|gateway| {
        let status = site.status(gateway, Role::Sg)?;
        Some(status.failover.map_or(status.sessions, |failover| failover.serving))
    });
    Ok(Result {
        fault,
        sessions,
        noticed,
        violations: events.iter().filter(is_violation).count(),
        holder: GATEWAYS.into_iter().find(|gateway| site.holds(*gateway)),
        serving: serving.to_vec(),
        seconds_to_log_on,
        between,
    })
}

/// How long fifty clients take to log on at most.
const LOG_ON: Duration = Duration::from_secs(8);

fn cause(site: &mut Site, fault: Fault) -> anyhow::Result<Option<Between>> {
    let [first, second, third] = GATEWAYS;
    match fault {
        Fault::Churn => return between::churn(site).map(Some),
        Fault::Resync => return between::resync(site, [second, third]).map(Some),
        Fault::None => {}
        Fault::Kill | Fault::Former => site.kill(first)?,
        Fault::Restart => {
            site.kill(first)?;
            sleep(Duration::from_millis(500));
            site.serve(first)?;
        }
        Fault::Drop => site.network.plug(first, false)?,
        Fault::Return => {
            site.network.plug(first, false)?;
            sleep(Duration::from_secs(60));
            site.network.plug(first, true)?;
        }
        Fault::Both => {
            site.kill(first)?;
            site.kill(second)?;
            sleep(Duration::from_secs(2));
            site.serve(first)?;
            site.serve(second)?;
        }
        Fault::Manager => site.kill(MANAGER)?,
        Fault::Split => {
            site.network.isolate(&[first, second], true)?;
            sleep(Duration::from_secs(10));
            site.network.isolate(&[first, second], false)?;
        }
    }
    Ok(None)
}

impl Result {
    fn lines(&self) -> Vec<String> {
        let name = format!("{:?}", self.fault).to_lowercase();
        let holder = self.holder.map_or_else(|| "none".to_owned(), |host| format!("g{}", host - 1));
        let serving = self.serving.iter().map(|count| match count {
            Some(count) => count.to_string(),
            None => "-".to_owned(),
        });
        let mut lines = vec![format!(
            "{name}: {} sessions; the shared address is at {holder}; served at the end: {}; \
             violations: {}",
            self.sessions,
            serving.collect::<Vec<_>>().join(", "),
            self.violations,
        )];
        if let Some(Between { seconds, bytes }) = self.between {
            let kbit = bytes as f64 * 8.0 / 1000.0 / seconds;
            lines.push(format!("  {bytes} bytes to one peer in {seconds:.1} s ({kbit:.0} kbit/s)"));
        }
        for it in &self.noticed {
            let [median, most, longest] = it.gap_ms.map(|gap| format!("{gap:.0}"));
            let gateway = if it.affected { "the shared address" } else { "another gateway" };
            lines.push(format!(
                "  {:9} at {gateway}: {} sessions, {} continued ({} reconnected), {} ended, {} lost; gap \
                 p50 {median} ms, p95 {most} ms, max {longest} ms; wrong deliveries: {}",
                it.kind, it.sessions, it.continued, it.reconnected, it.ended, it.lost, it.wrong,
            ));
            lines.extend(it.reasons.iter().map(|(reason, count)| format!("    {count}: {reason}")));
        }
        lines
    }
}
