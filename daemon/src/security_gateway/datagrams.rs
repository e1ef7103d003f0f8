//! Forwards datagrams. Workers forward those with a route, without a lock or an allocation. Those
//! without a route that may get one wait in a short queue for a decision. A datagram that cannot be
//! sent immediately is dropped and counted, as a network would do.

use std::{io, sync::Arc, time::Duration};

use cmsg_proto::gateway::{Destination, Routes, Side, SpiCandidates};
use tokio::{
    sync::mpsc,
    task::{coop::consume_budget, yield_now},
    time::{MissedTickBehavior, interval},
};
use tracing::trace;

use super::{
    counters::count,
    sockets::{Datagrams, Received, control_room},
    state::GatewayState,
};

/// Forwards the datagrams of one socket through another.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    /// The side whose datagrams the socket receives.
    pub(super) side: Side,
    pub(super) gateway: Arc<GatewayState>,
    pub(super) from: Arc<Datagrams>,
    pub(super) to: Arc<Datagrams>,
}

/// A datagram without a route.
#[derive(Debug)]
pub(super) struct Miss {
    side: Side,
    received: Received,
    bytes: [u8; Miss::MAX_BYTES],
}

impl Miss {
    /// The first datagrams of a session are not larger than its path MTU.
    const MAX_BYTES: usize = 2048;
}

/// Maximum number of datagrams that wait for a decision.
const QUEUE: usize = 256;

/// Number of datagrams that are forwarded with the same snapshot of the routes.
const BATCH: usize = 64;

/// Maximum size of a UDP datagram.
const BUFFER: usize = 65_536;

/// How often deadlines of sessions are checked.
const TICK: Duration = Duration::from_secs(1);

/// The queue between the workers and [`decide`].
pub(super) fn queue() -> (mpsc::Sender<Miss>, mpsc::Receiver<Miss>) {
    mpsc::channel(QUEUE)
}

impl Worker {
    pub(super) async fn work(self, misses: mpsc::Sender<Miss>) {
        let (mut buffer, mut control) = (vec![0; BUFFER], control_room());
        // Tokio only attempts to send after the socket was reported writable once.
        let _ = self.to.writable().await;
        loop {
            if self.from.readable().await.is_err() {
                count(&self.gateway.counters.drops.failed);
                yield_now().await;
            }
            let routes = self.gateway.routes();
            for _ in 0..BATCH {
                match self.from.receive(&mut buffer, &mut control) {
                    Ok(received) => self.forward(&routes, received, &buffer, &misses),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => count(&self.gateway.counters.drops.failed),
                }
            }
            // A socket that is always readable would starve all other tasks.
            consume_budget().await;
        }
    }

    fn forward(
        &self,
        routes: &Routes,
        received: Received,
        buffer: &[u8],
        misses: &mpsc::Sender<Miss>,
    ) {
        let Received { length, from, tos } = received;
        let datagram = &buffer[..length];
        let drops = &self.gateway.counters.drops;
        let Some(candidates) = SpiCandidates::of(datagram) else { return count(&drops.unknown) };
        if let Some((found, sequence)) = routes.find_numbered(self.side, from, candidates) {
            return self.send((datagram, tos), found, sequence);
        }
        if !routes.expects(self.side, from.ip()) {
            return count(&drops.unknown);
        }
        let mut miss = Miss { side: self.side, received, bytes: [0; Miss::MAX_BYTES] };
        let Some(room) = miss.bytes.get_mut(..length) else { return count(&drops.undecided) };
        room.copy_from_slice(datagram);
        if misses.try_send(miss).is_err() {
            count(&drops.undecided);
        }
    }

    fn send(&self, (datagram, tos): (&[u8], u8), destination: Destination, sequence: Option<u32>) {
        let counters = &self.gateway.counters;
        counters.sequence(destination.flow, sequence);
        match self.to.send(datagram, destination, tos) {
            Ok(_) => counters.datagram(destination.flow, datagram.len()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                count(&counters.drops.congested);
            }
            Err(error) => {
                trace!(%error, "Datagram not sent");
                count(&counters.drops.failed);
            }
        }
    }

    fn decide(&self, miss: &Miss) {
        let Received { length, from, tos } = miss.received;
        let datagram = &miss.bytes[..length];
        let Some(candidates) = SpiCandidates::of(datagram) else { return };
        if let Some((found, sequence)) = self.gateway.decide(self.side, from, candidates) {
            self.send((datagram, tos), found, sequence);
        }
    }
}

/// Decides forever about datagrams without a route, and applies deadlines. Publishes changed
/// routes.
pub(super) async fn decide(mut misses: mpsc::Receiver<Miss>, workers: [Worker; 2]) {
    let [first, _] = &workers;
    let gateway = Arc::clone(&first.gateway);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let decide = |miss: &Miss| {
        workers.iter().filter(|worker| worker.side == miss.side).for_each(|w| w.decide(miss));
    };
    loop {
        tokio::select! {
            Some(miss) = misses.recv() => {
                decide(&miss);
                for _ in 1..BATCH {
                    let Ok(miss) = misses.try_recv() else { break };
                    decide(&miss);
                }
            }
            () = gateway.changed() => {}
            _ = ticks.tick() => gateway.tick(),
        }
        gateway.publish();
    }
}
