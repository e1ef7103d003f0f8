//! What outlives a restart: who was announced or connected, for as long as the time-outs say. No
//! keys, no tags, no control bytes, no flows: those come back with the resumed control connection.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{
    Admission, Announcement, Rules,
    ended::Entry as EndedEntry,
    session::{Session, State},
};
use crate::{SessionId, TagDigest, Time};

/// The admission at one instant, to be written down.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Journal {
    sessions: Vec<Entry>,
    ended: Vec<(SessionId, EndedEntry)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    id: SessionId,
    agent: SocketAddr,
    tag: TagDigest,
    issued: Time,
    client: Option<IpAddr>,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Standing {
    Announced { until: Time },
    Connected,
    Waiting { since: Time },
}

impl Admission {
    /// What is to be written down.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let sessions = self.sessions.iter().flatten().map(|session| Entry::of(session)).collect();
        Journal { sessions, ended: self.ended.in_order() }
    }

    /// Continues after a restart. Sessions that were connected wait from now on.
    #[must_use]
    pub fn restore(rules: Rules, journal: Journal, now: Time) -> Self {
        let mut admission = Self::new(rules);
        for entry in journal.sessions {
            let known = admission.by_id.contains_key(&entry.id);
            if !known && !admission.by_tag.contains_key(&entry.tag) {
                entry.insert_into(&mut admission, now);
            }
        }
        for (id, entry) in journal.ended {
            admission.ended.insert(id, entry);
        }
        admission
    }
}

impl Entry {
    fn of(session: &Session) -> Self {
        let standing = match session.state {
            State::Announced(until) => Standing::Announced { until },
            State::Connected(_) => Standing::Connected,
            State::Waiting(since) => Standing::Waiting { since },
        };
        Self {
            id: session.id.clone(),
            agent: session.agent,
            tag: session.tag,
            issued: session.issued,
            client: session.client,
            standing,
        }
    }

    fn insert_into(self, admission: &mut Admission, now: Time) {
        let Self { id, agent, tag, issued, client, standing } = self;
        let state = match standing {
            Standing::Announced { until } => State::Announced(until),
            Standing::Connected => State::Waiting(now),
            Standing::Waiting { since } => State::Waiting(since),
        };
        admission.insert(Announcement { id, agent, tag, issued }, state, client);
    }
}
