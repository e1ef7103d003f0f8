//! A filter in the kernel while a flood of datagrams from unexpected addresses lasts: it drops most of
//! them before they reach the workers or fill the sockets' buffers.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use cmsg_proto::{Time, gateway::Side};
use cmsg_udp::{Socket, SourceFilter};
use tracing::{info, warn};

use super::sockets::Pair;

/// The filter of the sockets of clients.
#[derive(Debug)]
pub(super) struct Floods {
    /// The workers own them, so that the ports are free when the workers have ended.
    sockets: Vec<Weak<Pair>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    flood: Flood,
    filter: Option<SourceFilter>,
    /// Whether addresses left the filter's set since it was made.
    is_stale: bool,
    /// The readings of the last check.
    unknown: u64,
    dropped: Vec<u32>,
    /// Whether the kernel has refused the filter.
    is_refused: bool,
}

/// When the filter is used.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Flood {
    #[default]
    None,
    /// It lasts; when there were last as many datagrams.
    Since(Time),
}

/// How often to check.
pub(super) const INTERVAL: Duration = Duration::from_millis(250);

/// Number of dropped datagrams in an interval that are a flood: 40,000 a second.
const MANY: u64 = 10_000;

/// How long the filter stays after the flood. Without it, the next flood would be felt again.
const CALM: Duration = Duration::from_secs(30);

impl Flood {
    fn judge(self, dropped: u64, now: Time) -> Self {
        match self {
            _ if dropped >= MANY => Self::Since(now),
            Self::Since(last) if now.since(last) < CALM => self,
            _ => Self::None,
        }
    }
}

impl Floods {
    /// Protects the sockets of these workers.
    pub(super) fn new(sockets: &[Arc<Pair>]) -> Self {
        let sockets = sockets.iter().map(Arc::downgrade).collect();
        Self { sockets, state: Mutex::default() }
    }

    /// Datagrams from this client are expected from now on; the routes say so already.
    pub(super) fn expect(&self, ip: IpAddr) {
        let mut state = self.state();
        if state.filter.as_mut().is_some_and(|filter| filter.insert(ip)) {
            self.apply(&mut state);
        }
    }

    /// Datagrams from this client are no longer expected.
    pub(super) fn forget(&self) {
        self.state().is_stale = true;
    }

    /// Switches the filter on or off. `unknown` is the number of datagrams that the workers have
    /// dropped because they belong to no session, and `expected` returns the clients' addresses.
    /// Returns the number of datagrams that the filter has dropped since the last check.
    pub(super) fn check(&self, unknown: u64, expected: impl Fn() -> Vec<IpAddr>, now: Time) -> u64 {
        let mut state = self.state();
        if state.is_refused {
            return 0;
        }
        let filtered = self.filtered(&mut state);
        let seen =
            unknown.saturating_sub(std::mem::replace(&mut state.unknown, unknown + filtered));
        let before = state.flood;
        state.flood = before.judge(seen + filtered, now);
        match (before == Flood::None, state.flood == Flood::None) {
            (true, false) => {
                state.filter = Some(filter(expected()));
                info!("The kernel drops datagrams from unexpected addresses, because of a flood");
                self.apply(&mut state);
            }
            (false, true) => {
                state.filter = None;
                info!("The flood of datagrams has ended");
                self.apply(&mut state);
            }
            (false, false) if std::mem::take(&mut state.is_stale) => {
                state.filter = Some(filter(expected()));
                self.apply(&mut state);
            }
            _ => {}
        }
        filtered
    }

    /// The number of datagrams that the kernel dropped since the last check while it filtered.
    fn filtered(&self, state: &mut State) -> u64 {
        let now: Vec<_> =
            self.pairs().map(|pair| clients(&pair).dropped().unwrap_or_default()).collect();
        let before = std::mem::replace(&mut state.dropped, now);
        if state.filter.is_none() || before.len() != state.dropped.len() {
            return 0;
        }
        let new = state.dropped.iter().zip(before);
        new.map(|(now, before)| u64::from(now.wrapping_sub(before))).sum()
    }

    fn apply(&self, state: &mut State) {
        let filter = state.filter.as_ref();
        let set = self.pairs().try_for_each(|pair| clients(&pair).set_filter(filter));
        let Err(error) = set else { return };
        // A filter that misses an address is worse than none.
        self.pairs().for_each(|pair| drop(clients(&pair).set_filter(None)));
        state.filter = None;
        if !std::mem::replace(&mut state.is_refused, true) {
            warn!(%error, "The kernel cannot drop a flood: `net.core.optmem_max` may be too small");
        }
    }

    fn pairs(&self) -> impl Iterator<Item = Arc<Pair>> {
        self.sockets.iter().filter_map(Weak::upgrade)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clients(pair: &Pair) -> &Socket {
    &pair[Side::Client as usize]
}

fn filter(expected: Vec<IpAddr>) -> SourceFilter {
    // Half of a hash with random keys is a random number.
    let secret = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or_default();
    let mut filter = SourceFilter::new(secret);
    for ip in expected {
        filter.insert(ip);
    }
    filter
}

#[cfg(test)]
mod tests;
