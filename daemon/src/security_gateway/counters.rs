//! What went through, counted by workers without locks and read by whoever wants to know.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cmsg_config::socket::{Amount, DroppedDatagrams, RefusedClients, Traffic, TurnedAway};
use cmsg_proto::gateway::{FlowId, Seen, Side, Slot};

/// All counters. They never go back: what a session had is what its place has now, less what it had
/// when the session began.
#[derive(Debug)]
pub(super) struct Counters {
    flows: Box<[Flow]>,
    control: Box<[[AtomicU64; 2]]>,
    pub(super) drops: Drops,
    pub(super) refusals: Refusals,
}

#[derive(Debug, Default)]
struct Flow {
    datagrams: AtomicU64,
    bytes: AtomicU64,
    /// The sequence number of the last datagram, with `NUMBERED` above it if it has one.
    sequence: AtomicU64,
}

/// Tells a sequence number from none.
const NUMBERED: u64 = 1 << 32;

/// Datagrams that went nowhere.
#[derive(Debug, Default)]
pub(super) struct Drops {
    /// They are no session's.
    pub(super) unknown: AtomicU64,
    /// They may be several sessions'.
    pub(super) ambiguous: AtomicU64,
    /// Nobody knows where to.
    pub(super) no_destination: AtomicU64,
    /// Too many waited to be decided, or they were too large to wait.
    pub(super) undecided: AtomicU64,
    /// The system could not take them at once.
    pub(super) congested: AtomicU64,
    /// The system refused them.
    pub(super) failed: AtomicU64,
}

/// Connections that were not admitted.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Too many were without a session, in all or from one address.
    pub(super) crowded: AtomicU64,
    /// They finished no TLS handshake.
    pub(super) no_tls: AtomicU64,
    /// They showed no announced tag.
    pub(super) no_tag: AtomicU64,
}

impl Counters {
    pub(super) fn new(sessions: usize) -> Self {
        Self {
            flows: (0..FlowId::places(sessions)).map(|_| Flow::default()).collect(),
            control: (0..sessions).map(|_| Default::default()).collect(),
            drops: Drops::default(),
            refusals: Refusals::default(),
        }
    }

    pub(super) fn datagram(&self, flow: FlowId, bytes: usize) {
        if let Some(flow) = self.flows.get(flow.index()) {
            flow.datagrams.fetch_add(1, Relaxed);
            flow.bytes.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Notes the sequence number of a datagram that goes out.
    pub(super) fn sequence(&self, flow: FlowId, sequence: Option<u32>) {
        if let Some(flow) = self.flows.get(flow.index()) {
            let sequence = sequence.map_or(0, |sequence| NUMBERED | u64::from(sequence));
            flow.sequence.store(sequence, Relaxed);
        }
    }

    /// What went through a flow so far.
    pub(super) fn seen(&self, flow: FlowId) -> Seen {
        self.flows.get(flow.index()).map_or_else(Seen::default, |flow| {
            let sequence = flow.sequence.load(Relaxed);
            let number = u32::try_from(sequence % NUMBERED).ok();
            Seen {
                datagrams: flow.datagrams.load(Relaxed),
                sequence: number.filter(|_| sequence >= NUMBERED),
            }
        })
    }

    /// Counts control bytes that came from that side.
    pub(super) fn control(&self, slot: Slot, side: Side, bytes: usize) {
        if let Some(slot) = self.control.get(slot.index()) {
            slot[side as usize].fetch_add(bytes as u64, Relaxed);
        }
    }

    /// What was turned away since the process began.
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

    /// How many datagrams a flow had.
    pub(super) fn datagrams(&self, flow: FlowId) -> u64 {
        self.flows.get(flow.index()).map_or(0, |flow| flow.datagrams.load(Relaxed))
    }

    /// What went through a place since the process began.
    pub(super) fn traffic(&self, slot: Slot) -> Traffic {
        let control = |side| {
            let counters = self.control.get(slot.index());
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
        let flows = slot.flows(side).filter_map(|flow| self.flows.get(flow.index()));
        flows.fold(Amount::default(), |sum, flow| Amount {
            datagrams: sum.datagrams + flow.datagrams.load(Relaxed),
            bytes: sum.bytes + flow.bytes.load(Relaxed),
        })
    }
}

/// What was added since.
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

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sequence_number_of_a_flow_is_known() {
        let counters = Counters::new(1);
        let flow = Slot(0).flows(Side::Client).next().unwrap();
        assert_eq!(counters.seen(flow), Seen::default());

        for sequence in [Some(0), Some(u32::MAX), None, Some(7)] {
            counters.sequence(flow, sequence);
            assert_eq!(counters.seen(flow), Seen { datagrams: 0, sequence });
        }
    }

    #[test]
    fn a_session_has_what_was_added_since_it_began() {
        let counters = Counters::new(2);
        let flow = |side| Slot(1).flows(side).last().unwrap();
        counters.datagram(flow(Side::Client), 100);
        counters.control(Slot(1), Side::Agent, 7);
        let before = counters.traffic(Slot(1));

        counters.datagram(flow(Side::Client), 10);
        counters.datagram(flow(Side::Client), 20);
        counters.datagram(flow(Side::Agent), 30);
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
