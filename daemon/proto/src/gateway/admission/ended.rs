//! Sessions that ended lately. Their announcements may still be replayed, which must change nothing.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Announcement, session::Session};
use crate::{SessionId, TagDigest, Time};

/// A memory of ended sessions, bounded in time and number.
#[derive(Debug)]
pub(super) struct Ended {
    limit: usize,
    sessions: HashMap<SessionId, Entry>,
    in_order: VecDeque<(Time, SessionId)>,
}

/// What is remembered of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    until: Time,
    tag: TagDigest,
    issued: Time,
}

/// Longer than any token is valid.
const KEPT: Duration = Duration::from_mins(2);

impl Ended {
    /// A memory for so many sessions.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, sessions: HashMap::new(), in_order: VecDeque::new() }
    }

    pub(super) fn remember(&mut self, session: &Session, now: Time) {
        let entry = Entry { until: now + KEPT, tag: session.tag, issued: session.issued };
        self.insert(session.id.clone(), entry);
    }

    /// Remembers again what was written down before `now`.
    pub(super) fn restore(&mut self, id: SessionId, entry: Entry, now: Time) {
        self.insert(id, Entry { until: entry.until.min(now + KEPT), ..entry });
    }

    fn insert(&mut self, id: SessionId, entry: Entry) {
        if self.in_order.len() >= self.limit {
            self.forget_first();
        }
        self.in_order.push_back((entry.until, id.clone()));
        self.sessions.insert(id, entry);
    }

    /// Whether the announcement is one of an ended session. A later one with another tag is not: it
    /// is a new session under the same log id.
    pub(super) fn covers(&self, announced: &Announcement) -> bool {
        self.sessions
            .get(&announced.id)
            .is_some_and(|ended| ended.tag == announced.tag || announced.issued <= ended.issued)
    }

    pub(super) fn forget(&mut self, now: Time) {
        while self.in_order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_first();
        }
    }

    /// Everything that is remembered, the oldest first.
    pub(super) fn in_order(&self) -> Vec<(SessionId, Entry)> {
        let entry = |(until, id): &(Time, SessionId)| {
            let entry = self.sessions.get(id).filter(|entry| entry.until == *until)?;
            Some((id.clone(), *entry))
        };
        self.in_order.iter().filter_map(entry).collect()
    }

    fn forget_first(&mut self) {
        let Some((until, id)) = self.in_order.pop_front() else { return };
        if self.sessions.get(&id).is_some_and(|entry| entry.until <= until) {
            self.sessions.remove(&id);
        }
    }
}
