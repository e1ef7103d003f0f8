//! The datagrams that wait for a decision. Each source address has an equal share of the places: a
//! source that sends more loses its own datagrams, and keeps nobody else's out.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use cmsg_proto::gateway::Side;
use tokio::sync::Notify;

/// A datagram without a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Undecided {
    /// The side that it came from.
    pub(super) side: Side,
    pub(super) from: SocketAddr,
    /// The local address that it came to.
    pub(super) at: Option<IpAddr>,
    pub(super) tos: u8,
    pub(super) bytes: Vec<u8>,
}

/// The queue between the workers and the task that decides.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    by_source: HashMap<Source, VecDeque<Undecided>>,
    /// The sources of `by_source`, in the order in which they have their turns.
    turns: VecDeque<Source>,
    count: usize,
}

type Source = (Side, IpAddr);

impl Undecided {
    /// The first datagrams of a session are not larger than its path MTU.
    pub(super) const MAX_BYTES: usize = 2048;
}

impl Queue {
    /// Maximum number of datagrams that wait.
    pub(super) const PLACES: usize = 256;

    /// Adds a datagram. Returns false if there was no place for this one, or for another one that had
    /// to make room.
    pub(super) fn push(&self, datagram: Undecided) -> bool {
        let is_room = self.waiting().push(datagram);
        self.arrived.notify_one();
        is_room
    }

    /// Whether there is no place for another datagram from this source.
    pub(super) fn is_full_for(&self, side: Side, from: SocketAddr) -> bool {
        self.waiting().is_full_for((side, from.ip()))
    }

    /// The next datagram, of each source in turn.
    pub(super) async fn next(&self) -> Undecided {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            self.arrived.notified().await;
        }
    }

    /// The next datagram, if there is one.
    pub(super) fn take(&self) -> Option<Undecided> {
        self.waiting().take()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_full_for(&self, source: Source) -> bool {
        let own = self.by_source.get(&source).map_or(0, VecDeque::len);
        let sources = self.by_source.len() + usize::from(own == 0);
        self.count >= Queue::PLACES && own >= (Queue::PLACES / sources).max(1)
    }

    fn push(&mut self, datagram: Undecided) -> bool {
        let source = (datagram.side, datagram.from.ip());
        if self.is_full_for(source) {
            return false;
        }
        let is_room = self.count < Queue::PLACES || !self.drop_from_longest();
        let queue = self.by_source.entry(source).or_default();
        if queue.is_empty() {
            self.turns.push_back(source);
        }
        queue.push_back(datagram);
        self.count += 1;
        is_room
    }

    /// Drops the latest datagram of the source with the most. Returns whether there was one.
    fn drop_from_longest(&mut self) -> bool {
        let longest = self.by_source.iter_mut().max_by_key(|(_, queue)| queue.len());
        let Some((source, queue)) = longest else { return false };
        let source = *source;
        queue.pop_back();
        let is_empty = queue.is_empty();
        self.count -= 1;
        if is_empty {
            self.by_source.remove(&source);
            self.turns.retain(|other| *other != source);
        }
        true
    }

    fn take(&mut self) -> Option<Undecided> {
        let source = self.turns.pop_front()?;
        let queue = self.by_source.get_mut(&source)?;
        let next = queue.pop_front();
        match queue.is_empty() {
            true => drop(self.by_source.remove(&source)),
            false => self.turns.push_back(source),
        }
        self.count -= usize::from(next.is_some());
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(host: u8, number: u16) -> Undecided {
        let from = SocketAddr::new([192, 0, 2, host].into(), 5000);
        let bytes = number.to_be_bytes().to_vec();
        Undecided { side: Side::Client, from, at: None, tos: 0, bytes }
    }

    #[test]
    fn one_source_keeps_nobody_else_out() {
        let queue = Queue::default();
        for number in 0..1000 {
            assert_eq!(queue.push(datagram(1, number)), number < 256, "{number}");
        }
        assert!(queue.is_full_for(Side::Client, datagram(1, 0).from));

        for number in 0..3 {
            let others = datagram(2, number);
            assert!(!queue.is_full_for(Side::Client, others.from));
            assert!(!queue.push(others), "another one had to make room");
        }

        // Each source has its turn, and its datagrams keep their order.
        let taken: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(taken.len(), Queue::PLACES);
        let first = [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2), (1, 3), (1, 4)];
        assert_eq!(taken[..8], first.map(|(host, number)| datagram(host, number)));
        assert!(queue.take().is_none());
    }

    #[test]
    fn more_sources_than_places_are_bounded() {
        let waiting = &mut Waiting::default();
        for host in 0..=255 {
            for number in 0..3 {
                waiting.push(datagram(host, number));
                assert!(waiting.count <= Queue::PLACES);
                let all: usize = waiting.by_source.values().map(VecDeque::len).sum();
                assert_eq!((all, waiting.turns.len()), (waiting.count, waiting.by_source.len()));
            }
        }
        let other = Undecided { side: Side::Agent, ..datagram(1, 0) };
        waiting.push(other);
        assert_eq!(waiting.count, Queue::PLACES);
        assert_eq!(std::iter::from_fn(|| waiting.take()).count(), Queue::PLACES);
    }
}
