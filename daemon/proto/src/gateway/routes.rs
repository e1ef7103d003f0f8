//! Where datagrams go: a table that workers read. The one who decides changes it; readers hold a
//! copy that stays as it is.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

use super::{Side, Spi, SpiCandidates};

/// What a datagram is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The end that it comes from.
    pub side: Side,
    /// Its source, canonical.
    pub from: SocketAddr,
    /// Its security parameter index.
    pub spi: Spi,
}

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination {
    /// The address at the other end, canonical.
    pub to: SocketAddr,
    /// The own address that it leaves from, where the system would choose another one.
    pub from: Option<IpAddr>,
    /// Which flow it belongs to, for the counters.
    pub flow: FlowId,
}

/// A session's place among the sessions that there may be at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// A flow's place among the flows that there may be at once. Another session takes it over some
/// time after its own has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowId(u32);

impl Slot {
    /// The flows that a session may have from one end.
    pub const FLOWS: u32 = 4;

    /// The place as the index of an array.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The places of the flows that this session may have from that end.
    pub fn flows(self, side: Side) -> impl Iterator<Item = FlowId> {
        let start = (self.0 * 2 + side as u32) * Self::FLOWS;
        (start..start + Self::FLOWS).map(FlowId)
    }
}

impl FlowId {
    /// The place as the index of an array, [`FlowId::places`] long.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// How many places there are for so many sessions.
    #[must_use]
    pub fn places(sessions: usize) -> usize {
        sessions * 2 * Slot::FLOWS as usize
    }
}

/// One change of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteChange {
    /// A key leads there now.
    Added(Key, Destination),
    /// A key leads nowhere any more.
    Removed(Key),
    /// New flows may come from this address.
    Expected(Side, IpAddr),
    /// No new flow may come from this address any more.
    Unexpected(Side, IpAddr),
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    destinations: HashMap<Key, Destination>,
    expected: HashSet<(Side, IpAddr)>,
}

impl Routes {
    /// Makes one change.
    pub fn apply(&mut self, change: RouteChange) {
        match change {
            RouteChange::Added(key, destination) => {
                self.destinations.insert(key, destination);
            }
            RouteChange::Removed(key) => {
                self.destinations.remove(&key);
            }
            RouteChange::Expected(side, ip) => {
                self.expected.insert((side, ip));
            }
            RouteChange::Unexpected(side, ip) => {
                self.expected.remove(&(side, ip));
            }
        }
    }

    /// Where a datagram goes, by its source and either place of its SPI.
    #[must_use]
    pub fn find(
        &self,
        side: Side,
        from: SocketAddr,
        candidates: SpiCandidates,
    ) -> Option<Destination> {
        self.find_numbered(side, from, candidates).map(|(found, _)| found)
    }

    /// The same, with the sequence number that stands behind the SPI.
    #[must_use]
    pub fn find_numbered(
        &self,
        side: Side,
        from: SocketAddr,
        candidates: SpiCandidates,
    ) -> Option<(Destination, Option<u32>)> {
        let at = |spi| {
            let found = self.destinations.get(&Key { side, from, spi });
            found.map(|found| (*found, candidates.sequence(spi)))
        };
        at(candidates.first).or_else(|| candidates.second.and_then(at))
    }

    /// Whether a datagram without a route may open a flow. One from elsewhere is not worth asking.
    #[must_use]
    pub fn expects(&self, side: Side, ip: IpAddr) -> bool {
        self.expected.contains(&(side, ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spi_is_sought_at_offset_0_then_4() {
        let from = "192.0.2.1:5000".parse().unwrap();
        let flows: Vec<_> = Slot(1).flows(Side::Client).collect();
        let to = |flow: usize| Destination {
            to: "10.0.0.5:4172".parse().unwrap(),
            from: None,
            flow: flows[flow],
        };
        let mut routes = Routes::default();
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
                candidates.and_then(|candidates| routes.find(Side::Client, from, candidates)),
                found
            );
            assert_eq!(
                candidates.and_then(|candidates| routes.find(Side::Agent, from, candidates)),
                None
            );
        }
    }

    #[test]
    fn no_two_flows_share_a_place() {
        let all: Vec<_> = (0..3)
            .flat_map(|slot| Side::BOTH.map(|side| (Slot(slot), side)))
            .flat_map(|(slot, side)| slot.flows(side))
            .map(FlowId::index)
            .collect();

        assert_eq!(all, (0..FlowId::places(3)).collect::<Vec<_>>());
    }
}
