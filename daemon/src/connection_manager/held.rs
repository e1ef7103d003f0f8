//! What one session holds of what all share. Its cookie may be shown on any number of connections, so
//! only the last of them is kept whatever others want, and only so many requests are answered at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::https::connection_permit::ConnectionPermit;

/// Requests of one session at once; clients send one after the other.
const REQUESTS: usize = 4;

/// What every session holds, by its number.
#[derive(Debug, Default)]
pub(super) struct Held {
    sessions: Mutex<HashMap<u64, Session>>,
}

#[derive(Debug, Default)]
struct Session {
    requests: usize,
    /// The connection that is kept.
    place: Weak<ConnectionPermit>,
}

/// A request that is being answered, until it is dropped.
#[derive(Debug)]
pub(super) struct Answering<'a> {
    held: &'a Held,
    number: u64,
}

impl Held {
    /// Counts a request of that session; none where it has too many already.
    pub(super) fn begin(&self, number: u64) -> Option<Answering<'_>> {
        let mut sessions = self.sessions();
        let session = sessions.entry(number).or_default();
        if session.requests >= REQUESTS {
            return None;
        }
        session.requests += 1;
        Some(Answering { held: self, number })
    }

    /// Keeps the connection of a session, and no longer the one that it had before.
    pub(super) fn keep(&self, number: u64, place: &Arc<ConnectionPermit>) {
        let mut sessions = self.sessions();
        let session = sessions.entry(number).or_default();
        let before = std::mem::replace(&mut session.place, Arc::downgrade(place));
        if let Some(before) = before.upgrade().filter(|before| !Arc::ptr_eq(before, place)) {
            before.release();
        }
        place.keep();
    }

    /// Forgets the sessions that hold nothing.
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
    fn a_session_has_a_few_requests_at_once_and_leaves_nothing_behind() {
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
