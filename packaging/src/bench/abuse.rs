//! `cargo xtask bench abuse`: runs each attack for a limited time, from loopback addresses against
//! services in a temporary directory, while users log on from other addresses and one session stays
//! open.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use super::{Output, run_optimised};
use crate::{binaries::Binaries, screen};
use attack::Attack;
use report::Report;

mod attack;
mod clients;
mod meter;
mod report;
mod run;
mod site;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only these attacks [default: all]
    #[arg(long, value_enum, value_name = "ATTACK")]
    only: Vec<Attack>,
    /// Seconds for which users log on, first without and then under each attack
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Factor for the connections and rates of attackers
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Format of the report
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Attack this daemon instead of building one
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
    /// Use the binaries in this directory instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// The parts of [`Options`] that an attack depends on.
#[derive(Clone, Copy)]
struct Force {
    /// How long users log on, without and under an attack.
    time: Duration,
    scale: f64,
}

impl Force {
    /// Scales a number of connections, or of events per second.
    fn scaled(self, count: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let scaled = (f64::from(count) * self.scale).round() as u32;
        scaled.max(1)
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) && options.binaries.is_none() {
        return run_optimised();
    }
    let binaries = match (&options.binaries, &options.daemon) {
        (Some(folder), _) => Binaries::at(folder),
        (None, Some(_)) => Binaries::release(&["pcoip-sim"])?,
        (None, None) => Binaries::release(&["pcoip-sim", "pcoip-cmsgd"])?,
    };
    let daemon = options.daemon.clone().unwrap_or_else(|| binaries.path("pcoip-cmsgd"));
    let force = Force { time: Duration::from_secs(options.seconds.into()), scale: options.scale };
    let attacks = match options.only.as_slice() {
        [] => <Attack as clap::ValueEnum>::value_variants(),
        only => only,
    };
    raise_limit(attacks, force)?;
    let site = site::Plan { binaries, daemon };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let report = runtime.context("starting the runtime")?.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            report = run_all(&site, attacks, force) => report.map(Some),
            _ = interrupt.recv() => Ok(None),
            _ = terminate.recv() => Ok(None),
        }
    })?;
    let Some(report) = report else {
        screen::note("interrupted");
        return Ok(ExitCode::from(130));
    };
    match options.output {
        Output::Json => screen::data(&serde_json::to_string(&report).context("writing JSON")?),
        Output::Text => report.table().iter().for_each(|line| screen::data(line)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_all(site: &site::Plan, attacks: &[Attack], force: Force) -> anyhow::Result<Report> {
    let mut report = Report::new(force);
    for attack in attacks {
        screen::note(&format!("{}: {}", attack.name(), attack.about(force)));
        let row = run::one(site, *attack, force).await;
        report.rows.push(row.with_context(|| format!("attacking with `{}`", attack.name()))?);
    }
    Ok(report)
}

/// Raises the open-file limit, since every connection of an attacker takes a file descriptor.
fn raise_limit(attacks: &[Attack], force: Force) -> anyhow::Result<()> {
    let connections = attacks.iter().map(|attack| attack.connections(force)).max();
    let needed = u64::from(connections.unwrap_or_default()) + OWN_DESCRIPTORS;
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("reading the limit on open files")?;
    if hard < needed {
        bail!(
            "the attacks need {needed} file descriptors, but the limit is {hard}: lower `--scale`"
        );
    }
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard.min(MAX_DESCRIPTORS).max(soft), hard);
    raised.context("raising the limit on open files")
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if scale > 0.0 && scale <= 1.5 { Ok(scale) } else { Err("not between 0 and 1.5".to_owned()) }
}

/// File descriptors of users, simulators and the runtime.
const OWN_DESCRIPTORS: u64 = 500;
const MAX_DESCRIPTORS: u64 = 20_000;
