//! Forwards datagrams. Each worker has a thread and a pair of sockets, and forwards datagrams with a
//! route in batches, without a lock, an allocation or a copy. Those without a route that may get one
//! wait for a decision. A datagram that cannot be sent is dropped and counted, as a network would do.

use std::{
    io::{ErrorKind, PipeReader},
    process,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use cmsg_proto::gateway::{Destination, RoutesReader, Side, SpiCandidates};
use cmsg_udp::{Batch, Outbox, Part, Report, Sent, Target, Train};
use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};
use tokio::{
    task::consume_budget,
    time::{MissedTickBehavior, interval},
};
use tracing::trace;

use super::{
    counters::{count, count_all},
    floods,
    runs::{Route, Run, runs},
    sockets::Pair,
    state::{self, GatewayState},
    undecided::{Queue, Undecided},
};

/// Forwards datagrams between its two sockets.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    pub(super) gateway: Arc<GatewayState>,
    pub(super) sockets: Arc<Pair>,
    pub(super) undecided: Arc<Queue>,
}

/// Number of trains that one system call receives. More would not fit into the processor's cache.
const PLACES: usize = 32;

/// How many batches are forwarded before the worker looks for the end.
const ROUNDS: usize = 16;

/// The number of the event that ends a worker; those of the sockets are their sides.
const STOP: u64 = u64::MAX;

/// How often deadlines of sessions are checked.
const TICK: Duration = Duration::from_secs(1);

/// Number of decisions before other tasks have their turn.
const DECISIONS: usize = 64;

impl Worker {
    /// Forwards datagrams until the other end of `stop` is closed.
    pub(super) fn work(&self, stop: &PipeReader) {
        let _guard = EndOfProcess;
        if let Err(error) = self.forward_until(stop) {
            panic!("the sockets of a worker cannot be waited for: {error}");
        }
    }

    fn forward_until(&self, stop: &PipeReader) -> nix::Result<()> {
        let mut batch = Batch::new(PLACES);
        let mut outboxes = [Outbox::default(), Outbox::default()];
        let arrivals = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        for (number, socket) in (0..).zip(&*self.sockets) {
            arrivals.add(socket, EpollEvent::new(flags, number))?;
        }
        arrivals.add(stop, EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
        // Each arrival is reported once, so a socket is read until it has no more.
        let mut ready = [true; 2];
        loop {
            let mut events = [EpollEvent::empty(); 3];
            let wait = match ready.contains(&true) {
                true => EpollTimeout::ZERO,
                false => EpollTimeout::NONE,
            };
            let count = match arrivals.wait(&mut events, wait) {
                Err(Errno::EINTR) => continue,
                waited => waited?,
            };
            for event in &events[..count] {
                match usize::try_from(event.data()).ok().and_then(|side| ready.get_mut(side)) {
                    Some(ready) => *ready = true,
                    None => return Ok(()),
                }
            }
            for _ in 0..ROUNDS {
                for (side, outbox) in Side::BOTH.into_iter().zip(&mut outboxes) {
                    let ready = &mut ready[side as usize];
                    *ready = *ready && self.forward(side, &mut batch, outbox);
                }
            }
        }
    }

    /// Forwards a batch from one side. Returns whether there may be more.
    fn forward(&self, side: Side, batch: &mut Batch, outbox: &mut Outbox) -> bool {
        match batch.receive(&self.sockets[side as usize]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => {
                count(&self.gateway.counters.drops.failed);
                return true;
            }
        }
        let routes = self.gateway.routes.read();
        for train in batch.trains() {
            self.sort(side, &routes, &train, outbox);
        }
        drop(routes);
        let to = &self.sockets[side.other() as usize];
        outbox.send(batch, to, Instant::now(), |report| self.count(report));
        batch.is_full()
    }

    /// Puts the datagrams of a train with a route into the outbox.
    fn sort(&self, side: Side, routes: &RoutesReader<'_>, train: &Train<'_>, outbox: &mut Outbox) {
        let counters = &self.gateway.counters;
        if train.bytes.is_empty() {
            return count(&counters.drops.unknown);
        }
        runs(side, routes, train, |Run { route, start, length }| {
            let part = Part { train: train.index, start, length, segment: train.segment };
            match route {
                Route::To(destination, sequence) => {
                    counters.sequence(destination.flow, sequence);
                    outbox.push(destination.flow.index(), target(destination, train.tos), part);
                }
                Route::Undecided => {
                    self.ask(side, train, &train.bytes[start..start + length]);
                }
                Route::None => {
                    count_all(&counters.drops.unknown, length.div_ceil(train.segment.max(1)));
                }
            }
        });
    }

    /// Has a decision made about these datagrams.
    fn ask(&self, side: Side, train: &Train<'_>, bytes: &[u8]) {
        for datagram in bytes.chunks(train.segment.max(1)) {
            let is_queued = datagram.len() <= Undecided::MAX_BYTES
                && !self.undecided.is_full_for(side, train.from)
                && self.undecided.push(Undecided {
                    side,
                    from: train.from,
                    at: train.at,
                    tos: train.tos,
                    bytes: datagram.to_vec(),
                });
            if !is_queued {
                count(&self.gateway.counters.drops.undecided);
            }
        }
    }

    fn decide(&self, waiting: &Undecided) {
        let Undecided { side, from, at, tos, bytes } = waiting;
        let Some(candidates) = SpiCandidates::of(bytes) else { return };
        let decided = self.gateway.decide(*side, (*from, *at), candidates);
        let Some((destination, sequence)) = decided else { return };
        self.gateway.counters.sequence(destination.flow, sequence);
        let sent = match self.sockets[side.other() as usize].send(bytes, target(destination, *tos))
        {
            Ok(()) => Sent::Done,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Congested,
            Err(error) => Sent::Failed(error),
        };
        let key = destination.flow.index();
        self.count(Report { key, datagrams: 1, bytes: bytes.len(), sent });
    }

    fn count(&self, Report { key, datagrams, bytes, sent }: Report) {
        let counters = &self.gateway.counters;
        match sent {
            Sent::Done => counters.forwarded(key, datagrams, bytes),
            Sent::Congested => count_all(&counters.drops.congested, datagrams),
            Sent::Failed(error) => {
                trace!(%error, "Datagram not sent");
                count_all(&counters.drops.failed, datagrams);
            }
        }
    }
}

/// Ends the process if a worker panics: the datagrams of its flows would be lost, while nothing else
/// shows it. The supervisor starts the process again, and its sessions continue.
struct EndOfProcess;

impl Drop for EndOfProcess {
    fn drop(&mut self) {
        if thread::panicking() {
            process::abort();
        }
    }
}

fn target(Destination { to, from, .. }: Destination, tos: u8) -> Target {
    Target { to, from, tos }
}

/// Decides forever about datagrams without a route, and applies deadlines.
pub(super) async fn decide(worker: Worker) {
    let [mut ticks, mut checks, mut peers] = [TICK, floods::INTERVAL, state::TICK].map(interval);
    for interval in [&mut ticks, &mut checks, &mut peers] {
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    let has_peers = worker.gateway.has_failover();
    loop {
        tokio::select! {
            _ = ticks.tick() => worker.gateway.tick(),
            _ = checks.tick() => worker.gateway.check_flood(),
            _ = peers.tick(), if has_peers => worker.gateway.tick_peers(),
            waiting = worker.undecided.next() => {
                worker.decide(&waiting);
                for _ in 1..DECISIONS {
                    let Some(waiting) = worker.undecided.take() else { break };
                    worker.decide(&waiting);
                }
                consume_budget().await;
            }
        }
    }
}
