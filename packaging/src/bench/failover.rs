//! `cargo xtask bench failover`: a Connection Manager, three gateways and simulated clients and
//! agents in network namespaces, with keepalived. Each fault is measured with sites of its own.

#![expect(
    clippy::disallowed_methods,
    reason = "faults last for a certain time, and no program notifies the rig of its state"
)]

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
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
use clients::{Clients, KINDS, Noticed};
use fault::Fault;
use site::{GATEWAYS, MANAGER, Setup, Site};

mod between;
mod clients;
mod fault;
mod network;
mod site;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Measure only these faults [default: all]
    #[arg(long, value_enum, value_name = "FAULT")]
    fault: Vec<Fault>,
    /// Number of sessions
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(5..=2000))]
    sessions: u16,
    /// What agents require to answer the datagrams of a session
    #[arg(long, value_enum, default_value = "nothing")]
    agents: Agents,
    /// Measure the remaining faults if the measurement of one fails
    #[arg(long)]
    keep_going: bool,
    /// Use the binaries in this directory instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Format of the report
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What the simulated agents require, by the name of the simulator's option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Agents {
    /// Only a known SPI
    Nothing,
    /// A control connection
    Control,
    /// The source address of the flow's first datagram
    Source,
    /// That no control connection of the session has ended yet
    Unbroken,
}

/// What a fault caused.
#[derive(Debug, Serialize)]
struct Result {
    fault: Fault,
    agents: Agents,
    sessions: usize,
    noticed: Vec<Noticed>,
    /// Violations of the protocol that the agents noticed, such as datagrams of another agent's
    /// session.
    violations: usize,
    /// Refused grants that the Connection Manager logged.
    refused_grants: usize,
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
    let kinds = u16::try_from(KINDS.len()).unwrap_or(u16::MAX);
    let (count, agents) = (options.sessions / kinds, options.agents);
    let (mut results, mut is_complete) = (Vec::new(), true);
    for fault in faults {
        screen::note(&format!("{fault:?}"));
        let janitor = Arc::new(Janitor::start()?);
        let measuring = {
            let (janitor, binaries) = (Arc::clone(&janitor), binaries.clone());
            move || measure(&janitor, binaries, fault, (count, agents))
        };
        let result = interruptible(measuring)?;
        janitor.finish();
        let Some(result) = result else {
            screen::note("interrupted");
            return Ok(ExitCode::from(130));
        };
        let result = match result.with_context(|| format!("measuring the fault {fault:?}")) {
            Err(error) if options.keep_going => {
                screen::error(&error);
                is_complete = false;
                continue;
            }
            result => result?,
        };
        if options.output == Output::Text {
            result.lines().iter().for_each(|line| screen::data(line));
        }
        results.push(result);
    }
    if options.output == Output::Json {
        screen::data(&serde_json::to_string(&results).context("writing JSON")?);
    }
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    (count, agents): (u16, Agents),
) -> anyhow::Result<Result> {
    let setup = Setup {
        agents: agents.to_possible_value().map(|it| it.get_name().to_owned()).unwrap_or_default(),
        is_second_behind: fault == Fault::Behind,
        is_third_former: fault == Fault::Former,
        is_unicast: fault == Fault::Unicast,
        is_churning: fault == Fault::Churn,
    };
    let mut site = Site::start(janitor, binaries, setup)?;
    fault.prepare(&site)?;
    let started = Instant::now();
    // Clients that have logged on wait for the others.
    let hold = fault.lasts() + LOG_ON * u32::from(count) / 50;
    let clients = Clients::start(&site, count, hold)?;
    let seconds_to_log_on = started.elapsed().as_secs_f64();
    // Flows are reported within 200 ms.
    sleep(Duration::from_millis(500));
    let between = fault.cause(&mut site)?;
    let sessions = clients.total();
    let noticed = clients.finish(&fault.affected())?;
    let events = site.agent_events();
    let is_violation = |event: &&serde_json::Value| event["event"] == "violation";
    let serving = GATEWAYS.map(|gateway| {
        let status = site.status(gateway, Role::Sg)?;
        Some(status.failover.map_or(status.sessions, |failover| failover.serving))
    });
    Ok(Result {
        fault,
        agents,
        sessions,
        noticed,
        violations: events.iter().filter(is_violation).count(),
        refused_grants: site.logged(MANAGER, "The gateway refused the grant")?,
        holder: GATEWAYS.into_iter().find(|gateway| site.holds(*gateway)),
        serving: serving.to_vec(),
        seconds_to_log_on,
        between,
    })
}

/// How long fifty clients take to log on at most.
const LOG_ON: Duration = Duration::from_secs(8);

impl Result {
    fn lines(&self) -> Vec<String> {
        let name = format!("{:?}", self.fault).to_lowercase();
        let holder = self.holder.map_or_else(|| "none".to_owned(), |host| format!("g{}", host - 1));
        let serving = self.serving.iter().map(|count| match count {
            Some(count) => count.to_string(),
            None => "-".to_owned(),
        });
        let gap = |[median, most, longest]: [f64; 3]| {
            format!("gap p50 {median:.0} ms, p95 {most:.0} ms, max {longest:.0} ms; ")
        };
        let mut lines = vec![format!(
            "{name}: {} sessions; the shared address is at {holder}; served at the end: {}; \
             violations: {}; refused grants: {}",
            self.sessions,
            serving.collect::<Vec<_>>().join(", "),
            self.violations,
            self.refused_grants,
        )];
        if let Some(Between { seconds, bytes }) = self.between {
            let kbit = bytes as f64 * 8.0 / 1000.0 / seconds;
            lines.push(format!("  {bytes} bytes to one peer in {seconds:.1} s ({kbit:.0} kbit/s)"));
        }
        for it in &self.noticed {
            let gap = it.gap_ms.map_or_else(String::new, gap);
            let gateway = if it.affected { "the failing address" } else { "another address" };
            lines.push(format!(
                "  {:9} at {gateway}: {} sessions, {} continued ({} reconnected), {} ended, {} lost; {gap}\
                 wrong deliveries: {}",
                it.kind, it.sessions, it.continued, it.reconnected, it.ended, it.lost, it.wrong,
            ));
            lines.extend(it.reasons.iter().map(|(reason, count)| format!("    {count}: {reason}")));
        }
        lines
    }
}
