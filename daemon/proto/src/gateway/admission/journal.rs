//! The state that survives a restart: announced and connected sessions with their deadlines
//! (`docs/protocol/gateway-journal.md`). It contains no keys, tags, control bytes or flows: flows
//! are learned again from the resumed control connection.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    super::{Slot, canonical},
    Admission, Announcement,
    ended::Written as EndedEntry,
    session::{Session, State},
};
use crate::{
    Hostname, SessionId, SessionKey, TagDigest, Time, frames,
    journal::{Loaded, Unreadable},
};
pub use record::{Record, Replay};

mod former;
mod record;

/// The persistent state of the admission at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    sessions: Vec<Entry>,
    ended: Vec<(SessionId, EndedEntry)>,
}

/// The persistent state of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    id: SessionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<SessionKey>,
    agent: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hostname: Option<Hostname>,
    tag: TagDigest,
    issued: Time,
    client: Option<IpAddr>,
    #[serde(rename = "standing")]
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    Announced { until: Time },
    InUse,
    Waiting { since: Time },
}

/// The part of an [`Entry`] that changes while the session exists, except for the agent's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded {
    phase: Phase,
    client: Option<IpAddr>,
}

/// Increment it with every incompatible change of the format.
const VERSION: u64 = 2;

/// The beginning of the first line, before the version.
const TITLE: &str = "pcoip-sg-sessions ";

impl Journal {
    /// Upper bound in bytes: twice the size of 100,000 sessions and 200,000 ended ones.
    pub const MAX_BYTES: usize = 256 * 1024 * 1024;

    /// Number of sessions that have not ended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Number of sessions and ended sessions.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.sessions.len() + self.ended.len()
    }

    /// Keeps the sessions for which `keep` returns true.
    pub fn retain(&mut self, keep: impl Fn(&SessionId, Option<SessionKey>, SocketAddr) -> bool) {
        self.sessions.retain(|entry| keep(&entry.id, entry.key, canonical(entry.agent)));
    }

    /// The content of a file with this state. Records are appended to it.
    #[must_use]
    pub fn render(self) -> Vec<u8> {
        let mut file = format!("{TITLE}{VERSION}\n").into_bytes();
        self.records().for_each(|record| record.write(&mut file));
        file
    }

    /// The records that lead to this state.
    pub fn records(self) -> impl Iterator<Item = Record> {
        // A session may have the identity of an ended one.
        let ended = self.ended.into_iter().map(|(id, written)| Record::Ended(id, written));
        ended.chain(self.sessions.into_iter().map(Record::Session))
    }

    /// Parses the content of a file. Unreadable records are skipped.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] by variant.
    pub fn parse(bytes: &[u8]) -> Result<Loaded<Self>, Unreadable> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Unreadable::TooLarge(Self::MAX_BYTES));
        }
        if bytes.first() == Some(&b'{') {
            let journal = former::parse(bytes)?;
            return Ok(Loaded { journal, ..Loaded::default() });
        }
        let (version, records) = frames::head_line(bytes, TITLE).ok_or(Unreadable::Headless)?;
        if version != VERSION {
            return Err(Unreadable::Foreign(version, VERSION));
        }
        Ok(record::read(records))
    }
}

impl Admission {
    /// The state to be persisted.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let sessions = self.sessions.iter().flatten().map(|session| Entry::of(session)).collect();
        Journal { sessions, ended: self.ended.in_order() }
    }

    /// The changes of [`Admission::journal`] since the last call.
    ///
    /// If more sessions end than are remembered, the oldest are forgotten without a record.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Number of sessions and ended sessions that [`Admission::journal`] contains.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.count() + self.ended.count()
    }

    /// Records the session, unless the latest record of it is correct.
    pub(super) fn record(&mut self, slot: Slot) {
        let session = self.sessions.get_mut(slot.index()).and_then(Option::as_mut);
        self.records.extend(session.and_then(|session| session.take_record()));
    }

    /// Restores the state of before a restart. Connected sessions wait for their client from `now`
    /// on. Sessions whose deadline has passed end.
    pub fn restore(&mut self, mut journal: Journal, now: Time) {
        for entry in journal.sessions {
            let is_known = self.has(&entry.id, entry.key);
            if !is_known && !self.by_tag.contains_key(&entry.tag) {
                entry.insert_into(self, now);
            }
        }
        journal.ended.sort_by_key(|(_, written)| written.until);
        for (id, entry) in journal.ended {
            self.ended.restore(id, entry, now);
        }
        self.tick(now, |_| 0);
    }
}

impl Session {
    /// A record of the session, unless the latest one is correct.
    pub(super) fn take_record(&mut self) -> Option<Record> {
        let state = Recorded::of(self);
        let is_new = self.recorded.replace(state) != Some(state);
        is_new.then(|| Record::Session(Entry::of(self)))
    }
}

impl Recorded {
    fn of(session: &Session) -> Self {
        let phase = match session.state {
            State::Announced(until) => Phase::Announced { until },
            State::Waiting(since) if !session.has_client() => Phase::Waiting { since },
            State::Connected(_) | State::Waiting(_) => Phase::InUse,
        };
        Self { phase, client: session.client }
    }
}

impl Entry {
    fn of(session: &Session) -> Self {
        let Recorded { phase, client } = Recorded::of(session);
        Self {
            id: session.id.clone(),
            key: session.key,
            agent: session.agent,
            hostname: session.hostname.clone(),
            tag: session.tag,
            issued: session.issued,
            client,
            phase,
        }
    }

    /// No deadline is later than that of a session that began now, since the clock may have been
    /// set back.
    fn insert_into(self, admission: &mut Admission, now: Time) {
        let Self { id, key, agent, hostname, tag, issued, client, phase } = self;
        let state = match phase {
            Phase::Announced { until } => {
                State::Announced(until.min(now + admission.rules.timeouts.announced))
            }
            Phase::InUse => State::Waiting(now),
            Phase::Waiting { since } => State::Waiting(since.min(now)),
        };
        let announced = Announcement { id, key, agent: canonical(agent), hostname, tag, issued };
        admission.insert(announced, state, client.map(|ip| ip.to_canonical()));
    }
}
