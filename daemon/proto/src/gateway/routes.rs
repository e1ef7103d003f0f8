//! The routing table of datagrams. Its owner changes it while workers read it, without locks.

use std::{
    hash::RandomState,
    net::{IpAddr, SocketAddr},
};

use papaya::{HashMap, HashMapRef, HashSet, HashSetRef, LocalGuard};

use super::{Side, Spi, SpiCandidates};

/// What identifies the flow of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The end that sent it.
    pub side: Side,
    /// Source address in [canonical](super::canonical) form.
    pub from: SocketAddr,
    /// The security parameter index.
    pub spi: Spi,
}

/// Where a datagram is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// Address of the opposite end, canonical.
    pub to: SocketAddr,
    /// Local source address, if the system would choose another one.
    pub from: Option<IpAddr>,
    /// The local address that datagrams of the flow come to, if it is known. Those to another one
    /// have no route.
    pub at: Option<IpAddr>,
    /// The flow, for the counters.
    pub flow: FlowId,
}

/// The slot of a session, below the largest `max_connections` so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// The slot of a flow. It is reused by another session some time after its own has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(u32);

impl Destination {
    /// Whether a datagram that came to this local address has the route.
    #[must_use]
    pub fn accepts(&self, at: Option<IpAddr>) -> bool {
        self.at.is_none() || self.at == at
    }
}

impl Slot {
    /// Maximum number of flows that a session has from one end.
    pub const FLOWS: u32 = 4;

    /// The slot as an array index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The slots of the flows that this session may have from `side`.
    pub fn flows(self, side: Side) -> impl Iterator<Item = FlowId> {
        let start = (self.0 * 2 + side as u32) * Self::FLOWS;
        (start..start + Self::FLOWS).map(FlowId)
    }
}

impl FlowId {
    /// The slot as an array index, less than [`FlowId::places`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Number of flow slots for this number of sessions.
    #[must_use]
    pub const fn places(sessions: usize) -> usize {
        sessions * 2 * Slot::FLOWS as usize
    }
}

/// A change of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteChange {
    /// Datagrams with this key are sent to this destination.
    Added(Key, Destination),
    /// Datagrams with this key have no route any more.
    Removed(Key),
    /// New flows from this address are possible.
    Expected(Side, IpAddr),
    /// New flows from this address are no longer possible.
    Unexpected(Side, IpAddr),
}

/// The table, with one entry for each flow of a session. A change takes the same time for any number
/// of entries, and workers see it at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    destinations: HashMap<Key, Destination>,
    expected: HashSet<(Side, IpAddr)>,
}

/// The table as one thread reads it. While it exists, the memory of removed entries is not freed.
#[derive(Debug)]
pub struct RoutesReader<'a> {
    destinations: HashMapRef<'a, Key, Destination, RandomState, LocalGuard<'a>>,
    expected: HashSetRef<'a, (Side, IpAddr), RandomState, LocalGuard<'a>>,
}

impl Routes {
    /// Applies a change that [`super::Admission`] emitted.
    pub fn apply(&self, change: RouteChange) {
        match change {
            RouteChange::Added(key, destination) => {
                self.destinations.pin().insert(key, destination);
            }
            RouteChange::Removed(key) => {
                self.destinations.pin().remove(&key);
            }
            RouteChange::Expected(side, ip) => {
                self.expected.pin().insert((side, ip));
            }
            RouteChange::Unexpected(side, ip) => {
                self.expected.pin().remove(&(side, ip));
            }
        }
    }

    /// Reads the table, for a batch of datagrams.
    #[must_use]
    pub fn read(&self) -> RoutesReader<'_> {
        RoutesReader { destinations: self.destinations.pin(), expected: self.expected.pin() }
    }
}

impl RoutesReader<'_> {
    /// The destination of a datagram, by its source and either of its possible SPIs.
    #[must_use]
    pub fn find(
        &self,
        side: Side,
        from: SocketAddr,
        candidates: SpiCandidates,
    ) -> Option<Destination> {
        self.find_numbered(side, from, candidates).map(|(found, _)| found)
    }

    /// [`RoutesReader::find`], with the sequence number after the SPI.
    #[must_use]
    pub fn find_numbered(
        &self,
        side: Side,
        from: SocketAddr,
        candidates: SpiCandidates,
    ) -> Option<(Destination, Option<u32>)> {
        let (found, spi) = self.find_by_spi(side, from, candidates)?;
        Some((found, candidates.sequence(spi)))
    }

    /// [`RoutesReader::find`], with the word that is the SPI.
    #[must_use]
    pub fn find_by_spi(
        &self,
        side: Side,
        from: SocketAddr,
        candidates: SpiCandidates,
    ) -> Option<(Destination, Spi)> {
        let at = |spi| {
            let found = self.destinations.get(&Key { side, from, spi });
            found.map(|found| (*found, spi))
        };
        at(candidates.first).or_else(|| candidates.second.and_then(at))
    }

    /// The addresses from which new flows of that side are possible.
    pub fn expected(&self, side: Side) -> impl Iterator<Item = IpAddr> {
        let expected = self.expected.iter().filter(move |(other, _)| *other == side);
        expected.map(|(_, ip)| *ip)
    }

    /// Whether a datagram without a route may start a flow. Others are dropped without asking the
    /// owner.
    #[must_use]
    pub fn expects(&self, side: Side, ip: IpAddr) -> bool {
        self.expected.contains(&(side, ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spi_is_looked_up_at_offset_0_then_4() {
        let from = "192.0.2.1:5000".parse().unwrap();
        let flows: Vec<_> = Slot(1).flows(Side::Client).collect();
        let to = |flow: usize| Destination {
            to: "10.0.0.5:4172".parse().unwrap(),
            from: None,
            at: None,
            flow: flows[flow],
        };
        let routes = Routes::default();
        for (spi, flow) in [(b"spi1", 0), (b"spi2", 1)] {
            let key = Key { side: Side::Client, from, spi: Spi::from_bytes(*spi) };
            routes.apply(RouteChange::Added(key, to(flow)));
        }

        let table: [(&[u8], _); 5] = [
            (b"spi1....", Some(to(0))),
            (b"....spi2", Some(to(1))),
            (b"spi1spi2", Some(to(0))),
            (b"........spi1", None),
            (b"spi", None),
        ];
        for (datagram, found) in table {
            let candidates = SpiCandidates::of(datagram);
            assert_eq!(
                candidates.and_then(|candidates| routes.read().find(
                    Side::Client,
                    from,
                    candidates
                )),
                found
            );
            assert_eq!(
                candidates.and_then(|candidates| routes.read().find(Side::Agent, from, candidates)),
                None
            );
        }
    }

    #[test]
    fn no_two_flows_share_a_slot() {
        let all: Vec<_> = (0..3)
            .flat_map(|slot| Side::BOTH.map(|side| (Slot(slot), side)))
            .flat_map(|(slot, side)| slot.flows(side))
            .map(FlowId::index)
            .collect();

        assert_eq!(all, (0..FlowId::places(3)).collect::<Vec<_>>());
    }
}
