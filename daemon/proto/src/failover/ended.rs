//! Ended sessions. Each is remembered until its grant expires, since the grant could be replayed
//! until then. Nothing is evicted: instead, no new grants are accepted.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Grant, Position, Term};
use crate::{SessionKey, TagDigest, Time};

/// All ended sessions that have not expired.
#[derive(Debug, Default)]
pub(super) struct Ended {
    sessions: BTreeMap<SessionKey, Tombstone>,
    /// The latest issue of each tag.
    tags: HashMap<Tag, u32>,
    /// The sessions that this gateway served: the batch that reports the end of each.
    own: Vec<(u64, SessionKey, Term)>,
}

/// What is remembered of an ended session. Times have a resolution of one second, as in grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Half of the SHA-256 of the tag.
    tag: Tag,
    issued: u32,
    /// Rounded up.
    expires: u32,
    /// The term in which this gateway served the session, if it did.
    term: Option<Term>,
}

type Tag = [u8; 16];

fn half(tag: &TagDigest) -> Tag {
    let mut half = Tag::default();
    half.copy_from_slice(&tag.sha256[..16]);
    half
}

fn seconds(time: Time) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

impl Ended {
    /// Remembers a session. If this gateway served it, `own` is its term and the batch that
    /// reports the end.
    pub(super) fn remember(&mut self, grant: &Grant, own: Option<(Term, u64)>) {
        let tombstone = Tombstone {
            tag: half(&grant.tag),
            issued: seconds(grant.issued),
            expires: seconds(grant.expires).saturating_add(1),
            term: own.map(|(term, _)| term),
        };
        self.restore(grant.key, tombstone, own.map_or(0, |(_, batch)| batch));
    }

    /// Restores a session that ended before a restart.
    pub(super) fn restore(&mut self, key: SessionKey, tombstone: Tombstone, batch: u64) {
        let latest = self.tags.entry(tombstone.tag).or_default();
        *latest = tombstone.issued.max(*latest);
        self.own.extend(tombstone.term.map(|term| (batch, key, term)));
        self.sessions.insert(key, tombstone);
    }

    /// Whether the session has ended.
    pub(super) fn has(&self, key: SessionKey) -> bool {
        self.sessions.contains_key(&key)
    }

    /// Whether the grant belongs to an ended session. An ended session covers its key, and its tag
    /// for earlier issues: a later one is a new logon to the agent's session.
    pub(super) fn covers(&self, grant: &Grant) -> bool {
        let is_earlier = |latest: &u32| seconds(grant.issued) < *latest;
        self.sessions.contains_key(&grant.key)
            || self.tags.get(&half(&grant.tag)).is_some_and(is_earlier)
    }

    /// The sessions that this gateway served, unless the position is after their end.
    pub(super) fn own_since(
        &self,
        position: Option<Position>,
    ) -> impl Iterator<Item = (SessionKey, Term)> {
        let received = position.map(|position| position.sequence);
        let is_new = move |(batch, ..): &&(u64, SessionKey, Term)| {
            received.is_none_or(|received| *batch > received)
        };
        self.own.iter().filter(is_new).map(|(_, key, term)| (*key, *term))
    }

    /// Forgets the sessions whose grants have expired.
    pub(super) fn forget(&mut self, now: Time) {
        let now = seconds(now);
        let before = self.sessions.len();
        self.sessions.retain(|_, tombstone| tombstone.expires > now);
        if self.sessions.len() < before {
            let sessions = &self.sessions;
            self.own.retain(|(_, key, _)| sessions.contains_key(key));
            self.tags.clear();
            for tombstone in sessions.values() {
                let latest = self.tags.entry(tombstone.tag).or_default();
                *latest = tombstone.issued.max(*latest);
            }
        }
    }

    pub(super) fn get(&self, key: SessionKey) -> Option<Tombstone> {
        self.sessions.get(&key).copied()
    }

    pub(super) fn count(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionKey, Tombstone)> {
        self.sessions.iter().map(|(key, tombstone)| (*key, *tombstone))
    }
}
