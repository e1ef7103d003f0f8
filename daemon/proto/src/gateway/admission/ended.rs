//! Recently ended sessions. A replay of their announcements must not change anything.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Announcement, session::Session, terms::Identity};
use crate::{SessionId, SessionKey, TagDigest, Time};

/// Remembers ended sessions, bounded in time and number.
#[derive(Debug)]
pub(super) struct Ended {
    limit: usize,
    sessions: HashMap<Identity, Entry>,
    /// When each is forgotten, and its number. Its entry has another number if the session ended
    /// again.
    in_order: VecDeque<(Time, u64, Identity)>,
    number: u64,
}

/// What is remembered of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: SessionId,
    number: u64,
    written: Written,
}

/// The persisted form of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<SessionKey>,
    pub(super) until: Time,
    tag: TagDigest,
    issued: Time,
}

/// Longer than the validity of any token.
const KEPT: Duration = Duration::from_mins(2);

impl Ended {
    /// Remembers at most `limit` sessions.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, sessions: HashMap::new(), in_order: VecDeque::new(), number: 0 }
    }

    /// Remembers at least `limit` sessions from now on. Those that are remembered stay.
    pub(super) fn extend_to(&mut self, limit: usize) {
        self.limit = self.limit.max(limit);
    }

    /// Remembers a session, and returns its persisted form.
    pub(super) fn remember(&mut self, session: &Session, now: Time) -> Written {
        let written = Self::written(session, now);
        self.insert(session.id.clone(), written);
        written
    }

    /// The persisted form of a session that ends now.
    pub(super) fn written(session: &Session, now: Time) -> Written {
        let Session { key, tag, issued, .. } = session;
        Written { key: *key, until: now + KEPT, tag: *tag, issued: *issued }
    }

    /// Restores an entry that was persisted before `now`. Entries must be restored in the order of
    /// their `until`.
    pub(super) fn restore(&mut self, id: SessionId, written: Written, now: Time) {
        self.insert(id, Written { until: written.until.min(now + KEPT), ..written });
    }

    fn insert(&mut self, id: SessionId, written: Written) {
        if self.in_order.len() >= self.limit {
            self.forget_first();
        }
        self.number += 1;
        let (number, identity) = (self.number, Identity::of(&id, written.key));
        self.in_order.push_back((written.until, number, identity.clone()));
        self.sessions.insert(identity, Entry { id, number, written });
    }

    /// Whether the announcement belongs to an ended session. A later one with another tag does not:
    /// it is a new session under the same key or log id.
    pub(super) fn covers(&self, announced: &Announcement) -> bool {
        let ended = self.sessions.get(&Identity::of(&announced.id, announced.key));
        ended.is_some_and(|Entry { written, .. }| {
            written.tag == announced.tag || announced.issued <= written.issued
        })
    }

    /// Forgets the sessions that were to be remembered until `now`. Returns whether there were any.
    pub(super) fn forget(&mut self, now: Time) -> bool {
        let before = self.in_order.len();
        while self.in_order.front().is_some_and(|(until, ..)| *until <= now) {
            self.forget_first();
        }
        self.in_order.len() < before
    }

    pub(super) fn count(&self) -> usize {
        self.sessions.len()
    }

    /// All entries, oldest first.
    pub(super) fn in_order(&self) -> Vec<(SessionId, Written)> {
        let entry = |(_, number, identity): &(Time, u64, Identity)| {
            let ended = self.sessions.get(identity).filter(|ended| ended.number == *number)?;
            Some((ended.id.clone(), ended.written))
        };
        self.in_order.iter().filter_map(entry).collect()
    }

    fn forget_first(&mut self) {
        let Some((_, number, identity)) = self.in_order.pop_front() else { return };
        if self.sessions.get(&identity).is_some_and(|ended| ended.number == number) {
            self.sessions.remove(&identity);
        }
    }
}
