//! Divides a train of datagrams by their routes. The kernel merges datagrams of one source, which
//! may belong to several flows, or even to several sessions behind one address.

use cmsg_proto::gateway::{Destination, RoutesReader, Side, Spi, SpiCandidates};
use cmsg_udp::Train;

/// Consecutive datagrams of a train with the same route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) route: Route,
    /// Offset of the first datagram in the train.
    pub(super) start: usize,
    /// Length of all of them in bytes.
    pub(super) length: usize,
}

/// What happens to a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// It is sent there; its sequence number, or that of the last one of a run.
    To(Destination, Option<u32>),
    /// It may belong to a session.
    Undecided,
    /// It is dropped.
    None,
}

/// The route of the datagram before, and how it was found.
struct Last {
    route: Route,
    words: SpiCandidates,
    spi: Spi,
}

/// Calls `each` with the runs of a train, in order.
pub(super) fn runs(
    side: Side,
    routes: &RoutesReader<'_>,
    train: &Train<'_>,
    mut each: impl FnMut(Run),
) {
    let mut last: Option<Last> = None;
    let mut run: Option<Run> = None;
    for datagram in train.datagrams() {
        let candidates = SpiCandidates::of(datagram);
        let route = match (&mut last, candidates) {
            // Most trains belong to one flow, which is looked up once.
            (Some(last), Some(words)) if last.is_like(words) => last.again(words),
            (_, Some(words)) => {
                let (route, spi) = look_up(side, routes, train, words);
                last = spi.map(|spi| Last { route, words, spi });
                route
            }
            (_, None) => Route::None,
        };
        match &mut run {
            Some(run) if run.route.is_like(&route) => {
                (run.route, run.length) = (route, run.length + datagram.len());
            }
            _ => {
                let start = run.map_or(0, |run| run.start + run.length);
                if let Some(run) = run.replace(Run { route, start, length: datagram.len() }) {
                    each(run);
                }
            }
        }
    }
    run.into_iter().for_each(each);
}

fn look_up(
    side: Side,
    routes: &RoutesReader<'_>,
    train: &Train<'_>,
    words: SpiCandidates,
) -> (Route, Option<Spi>) {
    let found = routes.find_by_spi(side, train.from, words);
    match found.filter(|(found, _)| found.accepts(train.at)) {
        Some((found, spi)) => (Route::To(found, words.sequence(spi)), Some(spi)),
        None if routes.expects(side, train.from.ip()) => (Route::Undecided, None),
        None => (Route::None, None),
    }
}

impl Last {
    /// Whether a datagram with these words has the same route. If the second word is the SPI, the
    /// first one is not that of another flow.
    fn is_like(&self, words: SpiCandidates) -> bool {
        words.first == self.words.first
            && (words.first == self.spi || words.second == self.words.second)
    }

    fn again(&mut self, words: SpiCandidates) -> Route {
        if let Route::To(destination, _) = self.route {
            self.route = Route::To(destination, words.sequence(self.spi));
        }
        self.route
    }
}

impl Route {
    /// Whether both are the same, except for the sequence number.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::To(one, _), Self::To(other, _)) => one == other,
            _ => self == other,
        }
    }
}

#[cfg(test)]
mod tests;
