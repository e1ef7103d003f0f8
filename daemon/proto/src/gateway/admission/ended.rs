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
    in_order: VecDeque<(Time, Identity)>,
}

/// What is remembered of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    id: SessionId,
    written: Written,
}

/// The persisted form of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<SessionKey>,
    until: Time,
    tag: TagDigest,
    issued: Time,
}

/// Longer than the validity of any token.
const KEPT: Duration = Duration::from_mins(2);

impl Ended {
    /// Remembers at most `limit` sessions.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, sessions: HashMap::new(), in_order: VecDeque::new() }
    }

    pub(super) fn remember(&mut self, session: &Session, now: Time) {
        let Session { id, key, tag, issued, .. } = session;
        let written = Written { key: *key, until: now + KEPT, tag: *tag, issued: *issued };
        self.insert(id.clone(), written);
    }

    /// Restores an entry that was persisted before `now`.
    pub(super) fn restore(&mut self, id: SessionId, written: Written, now: Time) {
        self.insert(id, Written { until: written.until.min(now + KEPT), ..written });
    }

    fn insert(&mut self, id: SessionId, written: Written) {
        if self.in_order.len() >= self.limit {
            self.forget_first();
        }
        let identity = Identity::of(&id, written.key);
        self.in_order.push_back((written.until, identity.clone()));
        self.sessions.insert(identity, Entry { id, written });
    }

    /// Whether the announcement belongs to an ended session. A later one with another tag does not:
    /// it is a new session under the same key or log id.
    pub(super) fn covers(&self, announced: &Announcement) -> bool {
        let ended = self.sessions.get(&Identity::of(&announced.id, announced.key));
        ended.is_some_and(|Entry { written, .. }| {
            written.tag == announced.tag || announced.issued <= written.issued
        })
    }

    pub(super) fn forget(&mut self, now: Time) {
        while self.in_order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    /// All entries, oldest first.
    pub(super) fn in_order(&self) -> Vec<(SessionId, Written)> {
        let entry = |(until, identity): &(Time, Identity)| {
            let ended = self.sessions.get(identity);
            let Entry { id, written } = ended.filter(|ended| ended.written.until == *until)?;
            Some((id.clone(), *written))
        };
        self.in_order.iter().filter_map(entry).collect()
    }

    fn forget_first(&mut self) {
        let Some((until, identity)) = self.in_order.pop_front() else { return };
        if self.sessions.get(&identity).is_some_and(|ended| ended.written.until <= until) {
            self.sessions.remove(&identity);
        }
    }
}
