//! Where a client's datagrams come from. Behind one address there may be others who know an SPI, so
//! a new source is followed only when the old one is silent, and gives way when that speaks again.

use std::net::SocketAddr;

/// The source of a client's datagrams, and its former ones.
#[derive(Debug, Default)]
pub(super) struct Sources {
    current: Option<SocketAddr>,
    /// The oldest first. Each was left for the next one since it was silent.
    former: Vec<SocketAddr>,
}

/// More often no client moves in a session; further sources may not come back at once.
const MAX_FORMER: usize = 8;

impl Sources {
    /// Where the agent's datagrams go.
    pub(super) fn current(&self) -> Option<SocketAddr> {
        self.current
    }

    /// Whether the client's datagrams may come from there whatever the current source does.
    pub(super) fn has(&self, from: SocketAddr) -> bool {
        self.current.is_none_or(|current| current == from) || self.former.contains(&from)
    }

    /// Follows the client there. Sources that it came from after that one are forgotten.
    pub(super) fn follow(&mut self, from: SocketAddr) {
        let Some(current) = self.current.replace(from).filter(|current| *current != from) else {
            return;
        };
        match self.former.iter().position(|former| *former == from) {
            Some(at) => self.former.truncate(at),
            None if self.former.len() < MAX_FORMER => self.former.push(current),
            None => {}
        }
    }

    /// Takes a source, if any, in place of one that was none of the client's or has ended.
    pub(super) fn replace(&mut self, from: Option<SocketAddr>) {
        self.current = from;
        match from {
            Some(from) => self.former.retain(|former| *former != from),
            None => self.former.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(port: u16) -> SocketAddr {
        SocketAddr::new([192, 0, 2, 1].into(), port)
    }

    fn followed(ports: &[u16]) -> Sources {
        let mut sources = Sources::default();
        ports.iter().for_each(|port| sources.follow(source(*port)));
        sources
    }

    #[test]
    fn former_sources_may_come_back_and_later_ones_are_forgotten_then() {
        let mut sources = followed(&[1, 2, 3]);
        assert_eq!([1, 2, 3, 4].map(|port| sources.has(source(port))), [true, true, true, false]);

        sources.follow(source(2));

        assert_eq!(sources.current(), Some(source(2)));
        assert_eq!([1, 2, 3].map(|port| sources.has(source(port))), [true, true, false]);
    }

    #[test]
    fn the_oldest_sources_stay_known() {
        let sources = followed(&(1..100).collect::<Vec<_>>());

        assert!((1..=8).all(|port| sources.has(source(port))));
        assert!(!sources.has(source(98)));
    }

    #[test]
    fn a_source_that_was_none_is_forgotten() {
        let mut sources = followed(&[1]);

        sources.replace(Some(source(2)));

        assert_eq!([1, 2].map(|port| sources.has(source(port))), [false, true]);
    }
}
