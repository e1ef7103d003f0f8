//! Traffic counters, which workers update without locks.

use std::{
    array,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use cmsg_config::{
    socket::{Amount, DroppedDatagrams, RefusedClients, Traffic, TurnedAway},
    values::ConnectionLimit,
};
use cmsg_proto::gateway::{FlowId, Seen, Side, Slot};

/// All counters. They never decrease: the traffic of a session is the value of its slot now, minus
/// the value when the session began.
#[derive(Debug)]
pub(super) struct Counters {
    /// The counters of [`SESSIONS`] slots each. Those of the first slots exist.
    chunks: [OnceLock<Chunk>; CHUNKS],
    pub(super) drops: Drops,
    pub(super) refusals: Refusals,
}

/// Number of slots that get their counters at once.
const SESSIONS: usize = 1024;

/// Enough for the largest `MaxConnections`.
const CHUNKS: usize = (ConnectionLimit::MAX as usize).div_ceil(SESSIONS);

/// The counters of consecutive slots.
#[derive(Debug)]
struct Chunk {
    flows: Box<[Flow]>,
    control: Box<[[AtomicU64; 2]]>,
}

#[derive(Debug, Default)]
struct Flow {
    datagrams: AtomicU64,
    bytes: AtomicU64,
    /// Sequence number of the last datagram, with the bit `NUMBERED` set if it has one.
    sequence: AtomicU64,
}

/// Distinguishes a sequence number from none.
const NUMBERED: u64 = 1 << 32;

/// Dropped datagrams, by reason; the fields are those of [`TurnedAway`].
#[derive(Debug, Default)]
pub(super) struct Drops {
    pub(super) unknown: AtomicU64,
    pub(super) ambiguous: AtomicU64,
    pub(super) no_destination: AtomicU64,
    pub(super) undecided: AtomicU64,
    pub(super) congested: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// Refused connections, by reason; the fields are those of [`TurnedAway`].
#[derive(Debug, Default)]
pub(super) struct Refusals {
    pub(super) crowded: AtomicU64,
    pub(super) no_tls: AtomicU64,
    pub(super) no_tag: AtomicU64,
}

impl Chunk {
    fn new() -> Self {
        Self {
            flows: (0..FlowId::places(SESSIONS)).map(|_| Flow::default()).collect(),
            control: (0..SESSIONS).map(|_| Default::default()).collect(),
        }
    }
}

impl Counters {
    /// Counters for this number of sessions.
    pub(super) fn new(sessions: usize) -> Self {
        let counters = Self {
            chunks: array::from_fn(|_| OnceLock::new()),
            drops: Drops::default(),
            refusals: Refusals::default(),
        };
        counters.reserve(sessions);
        counters
    }

    /// Adds counters, if there are fewer than for this number of sessions. The existing ones stay
    /// where they are.
    pub(super) fn reserve(&self, sessions: usize) {
        for chunk in self.chunks.iter().take(sessions.div_ceil(SESSIONS)) {
            chunk.get_or_init(Chunk::new);
        }
    }

    fn flow(&self, index: usize) -> Option<&Flow> {
        const PLACES: usize = FlowId::places(SESSIONS);
        self.chunks.get(index / PLACES)?.get()?.flows.get(index % PLACES)
    }

    fn of_control(&self, slot: Slot) -> Option<&[AtomicU64; 2]> {
        let index = slot.index();
        self.chunks.get(index / SESSIONS)?.get()?.control.get(index % SESSIONS)
    }

    /// Counts forwarded datagrams of the flow with this index.
    pub(super) fn forwarded(&self, flow: usize, datagrams: usize, bytes: usize) {
        if let Some(flow) = self.flow(flow) {
            flow.datagrams.fetch_add(datagrams as u64, Relaxed);
            flow.bytes.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Records the sequence number of a forwarded datagram.
    pub(super) fn sequence(&self, flow: FlowId, sequence: Option<u32>) {
        if let Some(flow) = self.flow(flow.index()) {
            let sequence = sequence.map_or(0, |sequence| NUMBERED | u64::from(sequence));
            flow.sequence.store(sequence, Relaxed);
        }
    }

    /// The counters of a flow.
    pub(super) fn seen(&self, flow: FlowId) -> Seen {
        self.flow(flow.index()).map_or_else(Seen::default, |flow| {
            let sequence = flow.sequence.load(Relaxed);
            let number = u32::try_from(sequence % NUMBERED).ok();
            Seen {
                datagrams: flow.datagrams.load(Relaxed),
                sequence: number.filter(|_| sequence >= NUMBERED),
            }
        })
    }

    /// Counts control bytes from that side.
    pub(super) fn control(&self, slot: Slot, side: Side, bytes: usize) {
        if let Some(slot) = self.of_control(slot) {
            slot[side as usize].fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Refused connections and dropped datagrams since the start of the process.
    pub(super) fn turned_away(&self) -> TurnedAway {
        let (drops, refusals) = (&self.drops, &self.refusals);
        TurnedAway {
            datagrams: DroppedDatagrams {
                unknown: drops.unknown.load(Relaxed),
                ambiguous: drops.ambiguous.load(Relaxed),
                no_destination: drops.no_destination.load(Relaxed),
                undecided: drops.undecided.load(Relaxed),
                congested: drops.congested.load(Relaxed),
                failed: drops.failed.load(Relaxed),
            },
            clients: RefusedClients {
                crowded: refusals.crowded.load(Relaxed),
                no_tls: refusals.no_tls.load(Relaxed),
                no_tag: refusals.no_tag.load(Relaxed),
            },
        }
    }

    /// Number of datagrams of a flow.
    pub(super) fn datagrams(&self, flow: FlowId) -> u64 {
        self.flow(flow.index()).map_or(0, |flow| flow.datagrams.load(Relaxed))
    }

    /// What the client of a slot has sent so far: datagrams and control bytes.
    pub(super) fn of_client(&self, slot: Slot) -> u64 {
        let datagrams: u64 = slot.flows(Side::Client).map(|flow| self.datagrams(flow)).sum();
        let control = self.of_control(slot);
        datagrams + control.map_or(0, |slot| slot[Side::Client as usize].load(Relaxed))
    }

    /// Traffic of a slot since the start of the process.
    pub(super) fn traffic(&self, slot: Slot) -> Traffic {
        let control = |side| {
            let counters = self.of_control(slot);
            counters.map_or(0, |slot| slot[side as usize].load(Relaxed))
        };
        Traffic {
            udp_to_agent: self.amount(slot, Side::Client),
            udp_to_client: self.amount(slot, Side::Agent),
            tcp_to_agent: control(Side::Client),
            tcp_to_client: control(Side::Agent),
        }
    }

    fn amount(&self, slot: Slot, side: Side) -> Amount {
        let flows = slot.flows(side).filter_map(|flow| self.flow(flow.index()));
        flows.fold(Amount::default(), |sum, flow| Amount {
            datagrams: sum.datagrams + flow.datagrams.load(Relaxed),
            bytes: sum.bytes + flow.bytes.load(Relaxed),
        })
    }
}

/// The difference between two readings.
pub(super) fn since(now: Traffic, before: Traffic) -> Traffic {
    let amount = |now: Amount, before: Amount| Amount {
        datagrams: now.datagrams.saturating_sub(before.datagrams),
        bytes: now.bytes.saturating_sub(before.bytes),
    };
    Traffic {
        udp_to_agent: amount(now.udp_to_agent, before.udp_to_agent),
        udp_to_client: amount(now.udp_to_client, before.udp_to_client),
        tcp_to_agent: now.tcp_to_agent.saturating_sub(before.tcp_to_agent),
        tcp_to_client: now.tcp_to_client.saturating_sub(before.tcp_to_client),
    }
}

pub(super) fn count(counter: &AtomicU64) {
    count_all(counter, 1);
}

pub(super) fn count_all(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sequence_number_of_a_flow_is_recorded() {
        let counters = Counters::new(1);
        let flow = Slot(0).flows(Side::Client).next().unwrap();
        assert_eq!(counters.seen(flow), Seen::default());

        for sequence in [Some(0), Some(u32::MAX), None, Some(7)] {
            counters.sequence(flow, sequence);
            assert_eq!(counters.seen(flow), Seen { datagrams: 0, sequence });
        }
    }

    #[test]
    fn counters_are_added_without_a_change_of_the_others() {
        let counters = Counters::new(1);
        let last = Slot(ConnectionLimit::MAX - 1);
        let flow = |slot: Slot| slot.flows(Side::Agent).last().unwrap().index();
        for slot in [Slot(0), last] {
            counters.forwarded(flow(slot), 1, 100);
            counters.control(slot, Side::Client, 7);
        }
        let before = counters.traffic(Slot(0));
        assert_eq!((before.udp_to_client.bytes, before.tcp_to_agent), (100, 7));
        assert_eq!(counters.traffic(last), Traffic::default(), "it has none yet");

        counters.reserve(last.index() + 1);
        counters.reserve(1);
        counters.forwarded(flow(last), 1, 100);
        counters.control(last, Side::Client, 7);

        assert_eq!([Slot(0), last].map(|slot| counters.traffic(slot)), [before, before]);
    }

    #[test]
    fn a_session_has_the_traffic_since_its_start() {
        let counters = Counters::new(2);
        let flow = |side| Slot(1).flows(side).last().unwrap().index();
        counters.forwarded(flow(Side::Client), 1, 100);
        counters.control(Slot(1), Side::Agent, 7);
        let before = counters.traffic(Slot(1));

        counters.forwarded(flow(Side::Client), 2, 30);
        counters.forwarded(flow(Side::Agent), 1, 30);
        counters.control(Slot(1), Side::Client, 5);

        let expected = Traffic {
            udp_to_agent: Amount { datagrams: 2, bytes: 30 },
            udp_to_client: Amount { datagrams: 1, bytes: 30 },
            tcp_to_agent: 5,
            tcp_to_client: 0,
        };
        assert_eq!(since(counters.traffic(Slot(1)), before), expected);
        assert_eq!(counters.traffic(Slot(0)), Traffic::default());
    }
}
