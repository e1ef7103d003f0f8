//! `cargo xtask demo`: both services, installed with the installer in a temporary root, with a
//! simulated broker, agent and client. Everything is removed afterwards.

use std::{
    path::PathBuf,
    process::{ExitCode, Stdio},
};

use anyhow::Context as _;
use serde_json::Value;

use crate::{binaries::Binaries, screen};
use report::{Outcome, Report, Stage};
use site::Site;

pub(crate) mod children;
pub(crate) mod pictures;
mod report;
mod site;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Format of the report
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Byte layout of the simulated client and agent on port 4172
    #[arg(long, default_value = "little", value_parser = ["little", "big", "scrambled"])]
    layout: String,
    /// Kill the gateway during the session, which then resumes
    #[arg(long)]
    kill_gateway: bool,
    /// Leave everything running and print the command that stops it
    #[arg(long)]
    keep: bool,
    /// Use the binaries in this directory instead of building them
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let binaries = match &options.binaries {
        Some(folder) => Binaries::at(folder),
        None => Binaries::build()?,
    };
    let mut report = Report::new(&options.layout);
    let interrupted = children::end_on_signal()?;
    let mut site = Site::new(binaries, options.keep)?;

    let outcome = walk(&mut site, options, &mut report);
    if interrupted.happened() {
        report.fail("interrupted");
    } else if let Err(error) = outcome {
        report.fail(&format!("{error:#}"));
    }
    let mut left = None;
    if options.keep && report.is_done() {
        left = Some(site.leave());
    } else {
        report.left_behind = site.clear(&mut report.error)?;
    }
    report.judge(options.kill_gateway);

    match options.output {
        Output::Json => screen::data(&serde_json::to_string(&report).context("writing JSON")?),
        Output::Text => report.tell(),
    }
    if let Some(end) = left {
        screen::note(&format!("\nstill running; to end it:\n\n  {end}\n"));
    }
    Ok(match report.outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Failed if interrupted.happened() => ExitCode::from(130),
        Outcome::Failed => ExitCode::FAILURE,
    })
}

fn walk(site: &mut Site, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let show = options.output == Output::Text;
    site.start_simulators(&options.layout)?;
    site.install()?;
    report.health = site.health()?;
    if show {
        report.tell_start();
    }

    let mut client = site.client(&options.layout);
    if options.kill_gateway {
        client.args(["--hold", HOLD_SECONDS]);
    }
    client.stdout(Stdio::piped()).stderr(Stdio::inherit()).stdin(Stdio::null());
    let result = children::events(client, "the simulated client", |event| {
        let stages = match event["event"].as_str() {
            Some("stage") => stages(site, event),
            Some("resumed") => vec![Stage::resumed(event)],
            _ => Vec::new(),
        };
        let is_flowing = stages.iter().any(|stage| stage.name == "udp" && stage.ok);
        for stage in stages {
            if show {
                stage.tell();
            }
            report.stages.push(stage);
        }
        if options.kill_gateway && is_flowing {
            site.kill_gateway()?;
        }
        Ok(())
    })?;
    report.take_result(&result)
}

/// The stages in an event of the client. Two exchanges of the Connection Manager happen during the
/// client's allocation, and are read from the Connection Manager.
fn stages(site: &Site, event: &Value) -> Vec<Stage> {
    let stage = Stage::of(event);
    let inner = if stage.name == "allocate" { site.inner_exchanges() } else { Vec::new() };
    std::iter::once(stage).chain(inner).collect()
}

/// Time for the gateway to restart, and for datagrams to flow through it again.
const HOLD_SECONDS: &str = "4";
