//! A worker: a process inside a namespace that plays all clients, all agents, or the flood. It
//! reads orders from standard input and ends with it.

use std::{io::BufRead as _, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use nix::time::{ClockId, clock_gettime};

use super::{
    orders::{Counted, Order, Reply, Run},
    wire::Side,
};
use crate::screen;
use agents::Agents;
use controls::Controls;
use line::Line;
use turnover::Changing;

mod agents;
mod announce;
mod control;
mod controls;
mod flood;
mod generator;
mod hello;
mod line;
mod sink;
mod turn;
mod turnover;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(value_enum)]
    part: Part,
    /// Directory with the certificates and keys
    folder: PathBuf,
    /// Interface of the flood
    interface: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Clients,
    Agents,
    Flood,
}

struct Worker {
    line: Option<Arc<Line>>,
    controls: Option<Controls>,
    changing: Option<Changing>,
    interface: Option<String>,
    folder: PathBuf,
    _agents: Option<Agents>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut worker = Worker::start(options)?;
    screen::data("ready");
    for order in std::io::stdin().lock().lines() {
        let order = order.context("reading an order")?;
        let order = serde_json::from_str(&order).context("reading an order")?;
        let reply = worker.obey(order).unwrap_or_else(|why| Reply::Failed(format!("{why:#}")));
        screen::data(&serde_json::to_string(&reply).context("writing a reply")?);
    }
    Ok(ExitCode::SUCCESS)
}

impl Worker {
    fn start(options: &Options) -> anyhow::Result<Self> {
        let (folder, interface) = (&options.folder, options.interface.clone());
        let mut worker = Self {
            line: None,
            controls: None,
            changing: None,
            interface,
            folder: folder.clone(),
            _agents: None,
        };
        match options.part {
            Part::Clients => {
                worker.line = Some(Line::start(Side::Clients)?);
                worker.controls = Some(Controls::new(folder)?);
            }
            Part::Agents => {
                worker.line = Some(Line::start(Side::Agents)?);
                worker._agents = Some(Agents::start(folder)?);
            }
            Part::Flood => {}
        }
        Ok(worker)
    }

    fn obey(&mut self, order: Order) -> anyhow::Result<Reply> {
        match order {
            Order::Know(relay) => {
                self.line()?.know(relay);
                Ok(Reply::Done)
            }
            Order::SetUp { relay, first, last } => {
                let line = Arc::clone(self.line()?);
                let relay = line.relay(relay)?;
                self.controls()?.set_up(&relay, first..=last)?;
                hello::set_up(&line, &relay, first..=last)?;
                Ok(Reply::Done)
            }
            Order::Announce { relay, first, last } => {
                let relay = self.line()?.relay(relay)?;
                let journal = self.folder.join("synced");
                let (announced, synced) =
                    self.controls()?.announce(&relay, first..=last, &journal)?;
                Ok(Reply::Announced { announced, synced })
            }
            Order::Turnover(order) => {
                let line = Arc::clone(self.line()?);
                let controls = self.controls.take().context("this worker has no clients")?;
                self.changing = Some(turnover::start(line, controls, order));
                Ok(Reply::Done)
            }
            Order::AwaitTurnover => self.await_turnover(),
            Order::Hangup { relay, first, last } => {
                self.controls()?.hang_up(relay, first..=last);
                Ok(Reply::Done)
            }
            Order::Connect { relay } => {
                let relay = self.line()?.relay(relay)?;
                self.controls()?.connect(&relay)?;
                Ok(Reply::Done)
            }
            Order::Run(run) => self.exchange(&run).map(Reply::Counted),
            Order::Stream { relay, block, millis } => {
                let (bytes, nanos) = self.controls()?.stream(relay, block, millis)?;
                Ok(Reply::Streamed { bytes, nanos })
            }
            Order::Flood(order) => {
                let interface = self.interface.as_deref().context("this worker has no link")?;
                let sent = flood::send(interface, &order)?;
                Ok(Reply::Counted(Counted { sent, ..Counted::default() }))
            }
        }
    }

    fn await_turnover(&mut self) -> anyhow::Result<Reply> {
        let changing = self.changing.take().context("no sessions begin or end")?;
        let (controls, done) = changing.join().map_err(|_| anyhow!("a thread panicked"))?;
        self.controls = Some(controls);
        done.map(|announced| Reply::Announced { announced, synced: Vec::new() })
    }

    fn line(&self) -> anyhow::Result<&Arc<Line>> {
        self.line.as_ref().context("this worker has no datagrams")
    }

    fn controls(&mut self) -> anyhow::Result<&mut Controls> {
        self.controls.as_mut().context("this worker has no clients")
    }

    fn exchange(&self, run: &Run) -> anyhow::Result<Counted> {
        let line = self.line()?;
        let routes = line.routes(run)?;
        line.begin(run)?;
        let sent = if run.per_second > 0.0 { generator::send(line, &routes, run)? } else { 0 };
        wait_until(run.time.until + DRAIN);
        Ok(Counted { sent, ..line.end(run) })
    }
}

/// How long to receive after the last datagram was sent, in nanoseconds.
const DRAIN: u64 = 150_000_000;

/// The monotonic clock in nanoseconds, which all namespaces share.
pub(super) fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "traffic is paced by the clock")]
pub(super) fn wait_until(time: u64) {
    std::thread::sleep(Duration::from_nanos(time.saturating_sub(now())));
}

/// Repeats a step until it reports success, for at most ten seconds.
fn until_done(what: &str, mut step: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        if step()? {
            return Ok(());
        }
    }
    bail!("{what} takes longer than expected")
}

const TRIES: u32 = 100;
