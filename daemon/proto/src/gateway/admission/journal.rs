//! The state that survives a restart: announced and connected sessions with their deadlines
//! (`docs/protocol/gateway-journal.md`). It contains no keys, tags, control bytes or flows: flows
//! are learned again from the resumed control connection.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    super::canonical,
    Admission, Announcement,
    ended::Written as EndedEntry,
    session::{Session, State},
};
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time};

/// The persistent state of the admission at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    sessions: Vec<Entry>,
    ended: Vec<(SessionId, EndedEntry)>,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Another version of the daemon wrote it; the version of its format.
    #[error("the sessions have format version {0}, not {VERSION}")]
    Foreign(u64),
    /// It is truncated, modified, or not a journal.
    #[error("the sessions are damaged")]
    Damaged(#[source] serde_json::Error),
    /// It is larger than [`Journal::MAX_BYTES`].
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

/// The part that is the same in every version of the format.
#[derive(Deserialize)]
struct Head {
    version: u64,
}

/// The format of this version.
#[derive(Serialize, Deserialize)]
struct Form<S, E> {
    version: u64,
    sessions: S,
    ended: E,
}

/// Increment it with every incompatible change of the format.
const VERSION: u64 = 1;

impl Journal {
    /// Upper bound in bytes: the size of 100,000 sessions and 200,000 ended ones.
    pub const MAX_BYTES: usize = 128 * 1024 * 1024;

    /// Number of sessions that have not ended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Keeps the sessions for which `keep` returns true.
    pub fn retain(&mut self, keep: impl Fn(&SessionId, SocketAddr) -> bool) {
        self.sessions.retain(|entry| keep(&entry.id, canonical(entry.agent)));
    }

    /// The content of the file: JSON.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let form = Form { version: VERSION, sessions: &self.sessions, ended: &self.ended };
        serde_json::to_vec(&form).expect("numbers, texts and lists of them are JSON")
    }

    /// Parses the content of a file.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] by variant.
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
    /// The state to be persisted.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let sessions = self.sessions.iter().flatten().map(|session| Entry::of(session)).collect();
        Journal { sessions, ended: self.ended.in_order() }
    }

    /// Restores the state of before a restart. Connected sessions wait for their client from `now`
    /// on. Sessions whose deadline has passed end.
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
