//! The whole rig: network, workers and relays. All relays run at the same time, so that they can be
//! measured in turn; those without traffic take no CPU time.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::{
    janitor::Janitor,
    network::{Network, Place},
    orders::{Counted, Flood, Order, Reply, Run, Span, Turnover},
    relays::{Host, Product, RaisedBuffers, Running},
    site,
    wire::{Kind, SIZE},
    worker::{now, wait_until},
    workers::Worker,
};
use crate::bench::process;

pub(super) struct Rig {
    pub(super) relays: Vec<Running>,
    clients: Worker,
    agents: Worker,
    flood: Worker,
    /// The gateway's threads that receive from its interfaces.
    receivers: Vec<u32>,
    hardware: [u8; 6],
    runs: u16,
    network: Network,
}

/// Traffic for a measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// The first session with traffic.
    pub(super) first: u32,
    pub(super) sessions: u32,
    pub(super) burst: u32,
    /// Payload in both directions.
    pub(super) mbit: f64,
    pub(super) both_ways: bool,
    pub(super) seconds: f64,
    pub(super) trains: bool,
    /// Unknown datagrams a second.
    pub(super) flood: Option<u32>,
}

/// The result.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    pub(super) seconds: f64,
    /// From agents to clients.
    pub(super) down: Counted,
    /// From clients to agents.
    pub(super) up: Counted,
    pub(super) wrong: u64,
    /// Datagrams that should have been sent.
    pub(super) offered: f64,
    /// Unknown datagrams that reached the gateway.
    pub(super) flooded: u64,
    /// CPU seconds of the relay, and of the threads that receive for it.
    pub(super) relay: f64,
    pub(super) receive: f64,
}

/// Time between orders and traffic, in nanoseconds.
const LEAD: u64 = 100_000_000;

impl Rig {
    /// Makes the network, and starts workers and relays without sessions.
    pub(super) fn start(
        janitor: &Janitor,
        products: &[Product],
        daemons: &[PathBuf],
        sessions: u32,
    ) -> anyhow::Result<Self> {
        let folder = site::make(janitor)?;
        let network = Network::make(janitor)?;
        let receivers = network.gateway_threads()?;
        let start = |place| Worker::start(&network, place, &folder);
        let (clients, agents) = (start(Place::Clients)?, start(Place::Agents)?);
        let (flood, hardware) = (start(Place::Flood)?, network.flooded_address());
        let relays = Vec::new();
        let mut rig =
            Self { relays, clients, agents, flood, receivers, hardware, runs: 0, network };
        for product in products {
            let daemons = match product {
                Product::Gateway => daemons.iter().map(Some).collect(),
                _ => vec![None],
            };
            for (number, daemon) in daemons.iter().enumerate() {
                let named = |path: &&PathBuf| match daemons.len() {
                    1 => (path.to_path_buf(), "gateway".to_owned()),
                    _ => (path.to_path_buf(), format!("gateway {}", number + 1)),
                };
                let daemon = daemon.as_ref().map(named);
                let daemon = daemon.as_ref().map(|(path, name)| (path.as_path(), name.clone()));
                let host = Host { network: &rig.network, folder: &folder, sessions };
                let _raised = raised_for(*product, janitor)?;
                let id = u8::try_from(rig.relays.len()).context("too many relays")?;
                let relay = Running::start(&host, id, *product, daemon)?;
                let know = Order::Know(relay.relay.clone());
                rig.clients.obey(&know)?;
                rig.agents.obey(&know)?;
                rig.relays.push(relay);
            }
        }
        Ok(rig)
    }

    pub(super) fn has_realtime(&self) -> bool {
        self.network.has_realtime()
    }

    /// Sets up further sessions of a relay, up to this number. Returns the CPU seconds that the
    /// relay took.
    pub(super) fn grow(&mut self, index: usize, to: u32, janitor: &Janitor) -> anyhow::Result<f64> {
        let relay = self.relays.get_mut(index).context("there is no such relay")?;
        let (first, id) = (relay.sessions + 1, relay.relay.id);
        if first > to {
            return Ok(0.0);
        }
        // Each session of a proxy gets its socket now.
        let _raised = raised_for(relay.product, janitor)?;
        let before = relay.cpu();
        let set_up = Order::SetUp { relay: id, first, last: to };
        self.clients.obey(&set_up).with_context(|| format!("setting up {}", relay.name))?;
        relay.sessions = to;
        Ok(seconds(relay.cpu() - before))
    }

    /// Measures a relay under this load.
    pub(super) fn run(&mut self, index: usize, load: &Load) -> anyhow::Result<Measured> {
        self.runs = self.runs.wrapping_add(1);
        self.repair(index)?;
        let relay = self.relays.get(index).context("there is no such relay")?;
        let per_second = load.mbit * 1e6 / 8.0 / SIZE as f64;
        let rates = if load.both_ways { [per_second / 2.0; 2] } else { [0.0, per_second] };
        let from = now() + LEAD;
        let time = Span { from, until: from + nanoseconds(load.seconds) };
        let run = |per_second| {
            let Load { first, sessions, burst, trains, .. } = *load;
            let (relay, number) = (relay.relay.id, self.runs);
            Order::Run(Run { relay, number, first, sessions, burst, per_second, time, trains })
        };
        self.clients.order(&run(rates[0]))?;
        self.agents.order(&run(rates[1]))?;
        if let Some(per_second) = load.flood {
            let (hardware, port) = (self.hardware, relay.relay.clients.port());
            let flood = Flood { per_second: per_second.into(), time, hardware, port };
            self.flood.order(&Order::Flood(flood))?;
        }
        wait_until(from - LEAD / 10);
        let flooded = self.flooded(load)?;
        let before = [relay.cpu(), self.receiving()];
        let clients = counted(self.clients.reply()?)?;
        let agents = counted(self.agents.reply()?)?;
        load.flood.map(|_| self.flood.reply()).transpose()?;
        let after = [relay.cpu(), self.receiving()];
        let measured = Measured {
            seconds: load.seconds,
            down: Counted { sent: agents.sent, ..clients },
            up: Counted { sent: clients.sent, ..agents },
            wrong: clients.wrong + agents.wrong,
            offered: per_second * load.seconds,
            flooded: self.flooded(load)? - flooded,
            relay: seconds(after[0] - before[0]),
            receive: seconds(after[1] - before[1]),
        };
        self.relays[index].is_damaged = measured.received() < measured.sent();
        Ok(measured)
    }

    /// Begins to set up and to end sessions of a gateway, which takes this time. `ending` is the first
    /// session that ends, and `beginning` the first one that begins.
    pub(super) fn turn_over(
        &mut self,
        index: usize,
        [ending, beginning, sessions]: [u32; 3],
        time: f64,
    ) -> anyhow::Result<()> {
        let relay = self.relays.get_mut(index).context("there is no such relay")?;
        let from = now() + LEAD;
        let time = Span { from, until: from + nanoseconds(time) };
        let turnover = Turnover { relay: relay.relay.id, ending, beginning, sessions, time };
        self.clients.obey(&Order::Turnover(turnover))?;
        relay.sessions = beginning + sessions - 1;
        Ok(())
    }

    /// Waits until these sessions have begun and ended. Returns the microseconds that each
    /// announcement took.
    pub(super) fn await_turnover(&mut self) -> anyhow::Result<Vec<u32>> {
        self.clients.obey(&Order::AwaitTurnover).and_then(announced).map(|(announced, _)| announced)
    }

    /// Announces further sessions one after the other. Returns the microseconds that each took, and
    /// those of a sync of the same disk after each.
    pub(super) fn announce(
        &mut self,
        index: usize,
        first: u32,
        last: u32,
    ) -> anyhow::Result<(Vec<u32>, Vec<u32>)> {
        let relay = self.relays.get(index).context("there is no such relay")?.relay.id;
        self.clients.obey(&Order::Announce { relay, first, last }).and_then(announced)
    }

    /// Closes the control connections of sessions.
    pub(super) fn hang_up(&mut self, index: usize, first: u32, last: u32) -> anyhow::Result<()> {
        let relay = self.relays.get(index).context("there is no such relay")?.relay.id;
        self.clients.obey(&Order::Hangup { relay, first, last }).map(drop)
    }

    fn flooded(&self, load: &Load) -> anyhow::Result<u64> {
        load.flood.map_or(Ok(0), |_| self.network.flooded())
    }

    /// Lets the gateway's receive threads preempt the relay, or not.
    pub(super) fn receive_first(&self, first: bool) -> anyhow::Result<()> {
        self.network.receive_first(first)
    }

    /// Opens the flows of a proxy again: nginx ends a session if a datagram cannot be sent.
    fn repair(&mut self, index: usize) -> anyhow::Result<()> {
        let relay = self.relays.get_mut(index).context("there is no such relay")?;
        if relay.relay.kind == Kind::Proxy && std::mem::take(&mut relay.is_damaged) {
            let set_up = Order::SetUp { relay: relay.relay.id, first: 1, last: relay.sessions };
            self.clients.obey(&set_up).with_context(|| format!("repairing {}", relay.name))?;
        }
        Ok(())
    }

    /// Measures a relay while it passes blocks by TLS. Returns its CPU seconds, the bytes and the
    /// seconds that it took.
    pub(super) fn stream(
        &mut self,
        index: usize,
        block: u32,
        time: f64,
    ) -> anyhow::Result<(f64, u64, f64)> {
        let relay = self.relays.get_mut(index).context("there is no such relay")?;
        let id = relay.relay.id;
        if relay.product != Product::Gateway && !relay.is_connected {
            self.clients.obey(&Order::Connect { relay: id })?;
            relay.is_connected = true;
        }
        let relay = &self.relays[index];
        let millis = u32::try_from(nanoseconds(time) / 1_000_000).unwrap_or(u32::MAX);
        let before = relay.cpu() + self.receiving();
        let reply = self.clients.obey(&Order::Stream { relay: id, block, millis })?;
        let Reply::Streamed { bytes, nanos } = reply else { bail!("a worker answered {reply:?}") };
        let after = self.relays[index].cpu() + self.receiving();
        Ok((seconds(after - before), bytes, seconds(nanos)))
    }

    fn receiving(&self) -> u64 {
        self.receivers.iter().map(|thread| process::cpu(*thread)).sum()
    }
}

impl Measured {
    pub(super) fn received(&self) -> u64 {
        self.down.received + self.up.received
    }

    pub(super) fn sent(&self) -> u64 {
        self.down.sent + self.up.sent
    }

    /// The share of sent datagrams that did not arrive.
    pub(super) fn loss(&self) -> f64 {
        1.0 - share(self.received(), self.sent())
    }

    /// Delivered payload in Mbit/s.
    pub(super) fn mbit(&self) -> f64 {
        gigabytes(self.received() * SIZE as u64) * 8e3 / self.seconds
    }

    /// CPU seconds of the relay and of its receiving threads for each GB of delivered payload.
    pub(super) fn costs(&self) -> [f64; 2] {
        let delivered = gigabytes(self.received() * SIZE as u64);
        [self.relay / delivered, self.receive / delivered]
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

fn seconds(nanoseconds: u64) -> f64 {
    gigabytes(nanoseconds)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

fn raised_for(product: Product, janitor: &Janitor) -> anyhow::Result<Option<RaisedBuffers>> {
    (product == Product::NginxRaised).then(|| RaisedBuffers::raise(janitor)).transpose()
}

fn announced(reply: Reply) -> anyhow::Result<(Vec<u32>, Vec<u32>)> {
    match reply {
        Reply::Announced { announced, synced } => Ok((announced, synced)),
        other => bail!("a worker answered {other:?}"),
    }
}

fn counted(reply: Reply) -> anyhow::Result<Counted> {
    match reply {
        Reply::Counted(counted) => Ok(counted),
        other => bail!("a worker answered {other:?}"),
    }
}
