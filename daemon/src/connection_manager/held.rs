//! What each session holds of shared resources. Its cookie may be used on any number of
//! connections, so only the last of them is protected from eviction, and the number of concurrent
//! requests is limited.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::https::connection_permit::ConnectionPermit;

/// Concurrent requests of a session; clients send one at a time.
const REQUESTS: usize = 4;

/// By number of the session.
#[derive(Debug, Default)]
pub(super) struct Held {
    sessions: Mutex<HashMap<u64, Session>>,
}

#[derive(Debug, Default)]
struct Session {
    requests: usize,
    /// The protected connection.
    place: Weak<ConnectionPermit>,
}

/// A request in progress; dropping it ends the request.
#[derive(Debug)]
pub(super) struct Answering<'a> {
    held: &'a Held,
    number: u64,
}

impl Held {
    /// Starts a request of this session; `None` if too many are in progress.
    pub(super) fn begin(&self, number: u64) -> Option<Answering<'_>> {
        let mut sessions = self.sessions();
        let session = sessions.entry(number).or_default();
        if session.requests >= REQUESTS {
            return None;
        }
        session.requests += 1;
        Some(Answering { held: self, number })
    }

    /// Protects this connection of the session, and no longer the previous one.
    pub(super) fn keep(&self, number: u64, place: &Arc<ConnectionPermit>) {
        let mut sessions = self.sessions();
        let session = sessions.entry(number).or_default();
        let before = std::mem::replace(&mut session.place, Arc::downgrade(place));
        if let Some(before) = before.upgrade().filter(|before| !Arc::ptr_eq(before, place)) {
            before.release();
        }
        place.keep();
    }

    /// Removes sessions that hold nothing.
    pub(super) fn sweep(&self) {
        self.sessions()
            .retain(|_, session| session.requests > 0 || session.place.strong_count() > 0);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<u64, Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        if let Some(session) = self.held.sessions().get_mut(&self.number) {
            session.requests -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_concurrent_requests_of_a_session_are_limited() {
        let held = Held::default();
        let mut answering: Vec<_> = (0..REQUESTS).map(|_| held.begin(1).unwrap()).collect();
        assert!(held.begin(1).is_none());
        assert!(held.begin(2).is_some());

        answering.pop();

        answering.push(held.begin(1).unwrap());
        held.sweep();
        assert_eq!(held.sessions().len(), 1);
        drop(answering);
        held.sweep();
        assert!(held.sessions().is_empty());
    }
}
