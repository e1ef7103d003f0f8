//! Destinations to which trains cannot be sent, for example because the path has a smaller MTU than
//! the datagrams: single ones are fragmented, trains are refused.

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The destinations, each for [`Singly::TIME`] after its last refusal.
#[derive(Debug, Default)]
pub(crate) struct Singly(HashMap<SocketAddr, Instant>);

impl Singly {
    /// The path may have changed by then.
    const TIME: Duration = Duration::from_mins(10);
    /// Maximum number of destinations. For more, trains are tried again and again.
    const MAX: usize = 4096;

    /// Whether datagrams to this destination are sent one by one.
    pub(crate) fn contains(&self, to: SocketAddr, now: Instant) -> bool {
        let since = if self.0.is_empty() { None } else { self.0.get(&to) };
        since.is_some_and(|since| now.duration_since(*since) < Self::TIME)
    }

    /// A train to this destination was refused.
    pub(crate) fn insert(&mut self, to: SocketAddr, now: Instant) {
        if self.0.len() >= Self::MAX {
            self.0.retain(|_, since| now.duration_since(*since) < Self::TIME);
        }
        if self.0.len() < Self::MAX {
            self.0.insert(to, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_remembered_for_ten_minutes() {
        let (a, b) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.1:2".parse().unwrap());
        let now = Instant::now();
        let mut singly = Singly::default();
        singly.insert(a, now);

        let table = [(a, 0, true), (a, 599, true), (a, 600, false), (b, 0, false)];
        for (to, seconds, expected) in table {
            assert_eq!(singly.contains(to, now + Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_number_of_destinations_is_bounded() {
        let now = Instant::now();
        let mut singly = Singly::default();
        let to = |port| SocketAddr::new([192, 0, 2, 1].into(), port);

        (0..5000).for_each(|port| singly.insert(to(port), now));
        assert_eq!(singly.0.len(), Singly::MAX);
        assert!(!singly.contains(to(4999), now));

        let later = now + Singly::TIME;
        singly.insert(to(4999), later);
        assert!(singly.contains(to(4999), later));
    }
}
