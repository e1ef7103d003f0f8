//! What outlives a restart: who was announced or connected, for as long as the time-outs say. No
//! keys, no tags, no control bytes, no flows: those come back with the resumed control connection.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    super::canonical,
    Admission, Announcement,
    ended::Written as EndedEntry,
    session::{Session, State},
};
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time};

/// The admission at one instant, to be written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    sessions: Vec<Entry>,
    ended: Vec<(SessionId, EndedEntry)>,
}

/// Why bytes are no journal.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Another version of the daemon wrote it.
    #[error("the sessions have format version {0}, not {VERSION}")]
    Foreign(u64),
    /// It is cut off, changed or something else.
    #[error("the sessions are damaged")]
    Damaged(#[source] serde_json::Error),
    /// It is larger than any that is written.
    #[error("the sessions have more than {} bytes", Journal::MAX_BYTES)]
    TooLarge,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
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

/// What every version's file tells.
#[derive(Deserialize)]
struct Head {
    version: u64,
}

/// What this version's file holds.
#[derive(Serialize, Deserialize)]
struct Form<S, E> {
    version: u64,
    sessions: S,
    ended: E,
}

/// Who changes what is written so that it reads differently counts it up.
const VERSION: u64 = 1;

impl Journal {
    /// More than 100,000 sessions and twice as many ended ones take.
    pub const MAX_BYTES: usize = 128 * 1024 * 1024;

    /// How many sessions there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Leaves out sessions by their ids and agents.
    pub fn retain(&mut self, keep: impl Fn(&SessionId, SocketAddr) -> bool) {
        self.sessions.retain(|entry| keep(&entry.id, canonical(entry.agent)));
    }

    /// The bytes of a file: JSON.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let form = Form { version: VERSION, sessions: &self.sessions, ended: &self.ended };
        serde_json::to_vec(&form).expect("numbers, texts and lists of them are JSON")
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// Where it is not whole, or not this version's.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(Unreadable::TooLarge);
        }
        let Head { version } = serde_json::from_slice(bytes).map_err(Unreadable::Damaged)?;
        if version != VERSION {
            return Err(Unreadable::Foreign(version));
        }
        let Form { sessions, ended, .. } =
            serde_json::from_slice(bytes).map_err(Unreadable::Damaged)?;
        Ok(Self { sessions, ended })
    }
}

impl Admission {
    /// What is to be written down.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let sessions = self.sessions.iter().flatten().map(|session| Entry::of(session)).collect();
        Journal { sessions, ended: self.ended.in_order() }
    }

    /// Takes up what was written down before a restart. Sessions that were in use wait from now on;
    /// those whose time passed meanwhile end.
    pub fn restore(&mut self, journal: Journal, now: Time) {
        for entry in journal.sessions {
            let is_known = self.has(&entry.id, entry.key);
            if !is_known && !self.by_tag.contains_key(&entry.tag) {
                entry.insert_into(self, now);
            }
        }
        for (id, entry) in journal.ended {
            self.ended.restore(id, entry, now);
        }
        self.tick(now, |_| 0);
    }
}

impl Entry {
    fn of(session: &Session) -> Self {
        let phase = match session.state {
            State::Announced(until) => Phase::Announced { until },
            State::Waiting(since) if !session.has_client() => Phase::Waiting { since },
            State::Connected(_) | State::Waiting(_) => Phase::InUse,
        };
        Self {
            id: session.id.clone(),
            key: session.key,
            agent: session.agent,
            hostname: session.hostname.clone(),
            tag: session.tag,
            issued: session.issued,
            client: session.client,
            phase,
        }
    }

    /// No session gets more time than one of this instant: the clock may have been set back.
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
