//! Limits on what clients can consume: connections, requests at the broker, and the memory of
//! bodies. `cmsg_proto::shares` decides who is evicted; this module notifies them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cmsg_proto::shares::{Id, Order, Shares, Source, Worth};
use nix::sys::resource::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// A limited number of units, and their holders.
#[derive(Debug)]
pub(crate) struct Limiter {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    shares: Shares,
    evictions: HashMap<Id, CancellationToken>,
}

/// The units of a holder; freed when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    id: Id,
    evicted: CancellationToken,
}

impl Limiter {
    pub(crate) fn new(capacity: usize, order: Order) -> Arc<Self> {
        let shares = Shares::new(u64::try_from(capacity).unwrap_or(u64::MAX), order);
        let state = Mutex::new(State { shares, evictions: HashMap::new() });
        Arc::new(Self { capacity, state })
    }

    /// One unit, which may evict another holder; `None` if no holder can be evicted.
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr, worth: Worth) -> Option<Permit> {
        let mut state = self.state();
        let entered = state.shares.enter(Source::of(from), worth).ok()?;
        Some(self.permit(&mut state, entered, CancellationToken::new()))
    }

    /// As `enter`, but a source that holds as much as any other does not evict its own holders.
    pub(crate) fn enter_unless_fullest(self: &Arc<Self>, from: IpAddr) -> Option<Permit> {
        self.enter_unless_fullest_as(from, Worth::Idle, CancellationToken::new())
    }

    /// The same. If the holder is evicted, `evicted` is cancelled.
    pub(crate) fn enter_unless_fullest_as(
        self: &Arc<Self>,
        from: IpAddr,
        worth: Worth,
        evicted: CancellationToken,
    ) -> Option<Permit> {
        let mut state = self.state();
        let entered = state.shares.enter_unless_fullest(Source::of(from), worth).ok()?;
        Some(self.permit(&mut state, entered, evicted))
    }

    /// Evicts a holder although units are free, because the system is out of another resource.
    pub(crate) fn relieve(&self) -> bool {
        let mut state = self.state();
        let gone = state.shares.evict();
        gone.into_iter().for_each(|gone| state.cancel(gone));
        gone.is_some()
    }

    /// Total number of units.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of free units.
    pub(crate) fn free(&self) -> usize {
        let used = usize::try_from(self.state().shares.used()).unwrap_or(usize::MAX);
        self.capacity.saturating_sub(used)
    }

    fn permit(
        self: &Arc<Self>,
        state: &mut State,
        (id, gone): (Id, Option<Id>),
        evicted: CancellationToken,
    ) -> Permit {
        state.evictions.insert(id, evicted.clone());
        gone.into_iter().for_each(|gone| state.cancel(gone));
        Permit { limiter: Arc::clone(self), id, evicted }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The purposes of the process's file descriptors.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Files {
    /// Clients, whose requests sometimes need a second descriptor: three quarters.
    Clients,
    /// Connections that have not been admitted to a session: a quarter.
    Unadmitted,
    /// Sessions, each with a connection to the client and one to the agent: three quarters.
    Sessions,
}

impl Files {
    /// `wanted`, or what the open-file limit allows; at least one.
    pub(crate) fn fit(self, wanted: usize) -> usize {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
        wanted.min(self.of(usize::try_from(limit).unwrap_or(usize::MAX))).max(1)
    }

    /// The same for `MaxConnections`. Logs a warning if the open-file limit allows less.
    pub(crate) fn fit_configured(self, configured: usize) -> usize {
        let limit = self.fit(configured);
        if limit < configured {
            warn!(
                limit,
                configured, "`MaxConnections` is reduced to what the open-file limit allows"
            );
        }
        limit
    }

    fn of(self, limit: usize) -> usize {
        match self {
            Self::Clients => limit / 4 * 3,
            Self::Unadmitted => limit / 4,
            Self::Sessions => limit / 4 * 3 / 2,
        }
    }
}

impl State {
    fn cancel(&mut self, gone: Id) {
        if let Some(eviction) = self.evictions.remove(&gone) {
            eviction.cancel();
        }
    }
}

impl Permit {
    /// Completes when the holder is evicted.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// From now on, `evicted` is cancelled when the holder is evicted.
    pub(crate) fn evict_by(&mut self, evicted: CancellationToken) {
        match self.limiter.state().evictions.get_mut(&self.id) {
            Some(eviction) => eviction.clone_from(&evicted),
            None => evicted.cancel(),
        }
        self.evicted = evicted;
    }

    /// Frees all units before the permit is dropped.
    pub(crate) fn give_back(&self) {
        let mut state = self.limiter.state();
        state.shares.leave(self.id);
        state.evictions.remove(&self.id);
    }

    /// Takes one more unit, which may evict another holder. Returns whether it was granted.
    pub(crate) fn grow(&self) -> bool {
        let mut state = self.limiter.state();
        let grown = state.shares.grow(self.id);
        grown.iter().flatten().for_each(|gone| state.cancel(*gone));
        grown.is_ok()
    }

    pub(crate) fn set_worth(&self, worth: Worth) {
        self.limiter.state().shares.set_worth(self.id, worth);
    }

    /// Moves the holder to another source.
    pub(crate) fn set_source(&self, from: IpAddr) {
        self.limiter.state().shares.set_source(self.id, Source::of(from));
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connections_are_limited_by_the_open_files() {
        let table = [
            (Files::Clients, [768, 15_000, 1]),
            (Files::Unadmitted, [256, 5000, 1]),
            (Files::Sessions, [384, 7500, 1]),
        ];
        for (files, most) in table {
            assert_eq!([1024, 20_000, 3].map(|limit| files.of(limit).max(1)), most, "{files:?}");
        }
        assert_eq!((Files::Sessions.fit(1), Files::Sessions.fit(0)), (1, 1));
    }

    #[test]
    fn an_evicted_holder_is_notified_and_a_dropped_permit_is_freed() {
        let limiter = Limiter::new(2, Order::SourceFirst);
        let enter = |from| limiter.enter(ip(from), Worth::Idle).unwrap();
        let first = enter("192.0.2.1");
        let second = enter("192.0.2.1");
        assert_eq!(limiter.free(), 0);

        let newcomer = enter("192.0.2.2");
        assert!(first.evicted.is_cancelled());
        assert!(!second.evicted.is_cancelled());
        assert!(limiter.relieve());

        drop((first, second, newcomer));
        assert_eq!(limiter.free(), 2);
        assert!(!limiter.relieve());
        assert!(limiter.state().evictions.is_empty());
    }

    #[test]
    fn a_permit_changes_its_worth_and_its_source() {
        let limiter = Limiter::new(1, Order::SourceFirst);
        let permit = limiter.enter(ip("192.0.2.1"), Worth::Idle).unwrap();

        permit.set_worth(Worth::Kept);
        assert!(limiter.enter(ip("192.0.2.2"), Worth::Idle).is_none());
        permit.set_worth(Worth::Idle);
        permit.set_source(ip("192.0.2.2"));
        assert!(!permit.grow(), "it would have to give way itself");
        let _newcomer = limiter.enter(ip("192.0.2.2"), Worth::Idle).unwrap();
        assert!(permit.evicted.is_cancelled());
    }
}
