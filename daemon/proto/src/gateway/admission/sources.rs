//! The sources of a client's datagrams. Others behind the same address may know an SPI, so a new
//! source is accepted only when the old one is silent, and the old one takes precedence when it
//! sends again.

use std::net::SocketAddr;

/// The current source of a client's datagrams, and its former ones.
#[derive(Debug, Default)]
pub(super) struct Sources {
    current: Option<SocketAddr>,
    /// Oldest first. Each was replaced after it had been silent.
    former: Vec<SocketAddr>,
}

/// No client moves more often in a session. Older sources are not accepted at once.
const MAX_FORMER: usize = 8;

impl Sources {
    /// The destination of the agent's datagrams.
    pub(super) fn current(&self) -> Option<SocketAddr> {
        self.current
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.former.is_empty()
    }

    /// Whether the client's datagrams may come from this source, even while the current one is
    /// active.
    pub(super) fn has(&self, from: SocketAddr) -> bool {
        self.current.is_none_or(|current| current == from) || self.former.contains(&from)
    }

    /// Moves the client to this source. Later sources than this one are forgotten.
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

    /// Replaces a source that was not the client's or has ended.
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
