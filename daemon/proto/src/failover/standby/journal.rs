//! What survives a restart (`docs/protocol/standby-journal.md`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    super::{BootId, Claim, Flows, GatewayId, Position, ended::Tombstone, peer::Peer},
    Grant, Rules, Standby,
};
use crate::{
    SessionKey,
    frames::{self, Lost},
    journal::{Loaded, Unreadable},
};

/// The persistent state at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Saved {
    /// All sessions.
    pub sessions: Vec<SavedSession>,
    /// All ended sessions.
    pub ended: Vec<(SessionKey, Tombstone)>,
    /// The latest batch of each peer.
    pub positions: Vec<(GatewayId, Position)>,
}

/// The persistent state of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSession {
    /// The grant.
    pub grant: Grant,
    /// The claims and the flows.
    pub state: SavedState,
}

/// The part of a [`SavedSession`] that changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SavedState {
    /// The highest accepted claim.
    pub claim: Option<Claim>,
    /// The highest known claim.
    pub highest: Option<Claim>,
    /// The flows.
    pub flows: Flows,
}

/// A change of [`Saved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The session was granted, or this is its new grant.
    Granted(Grant),
    /// The new state of a granted session.
    State(SessionKey, SavedState),
    /// The session was removed. It has not ended.
    Removed(SessionKey),
    /// The session ended.
    Ended(SessionKey, Tombstone),
    /// The latest batch of a peer.
    Position(GatewayId, Position),
}

/// Increment it with every incompatible change of the format.
const VERSION: u64 = 1;

/// The beginning of the first line, before the version.
const TITLE: &str = "pcoip-sg-standby ";

impl Record {
    /// Appends the record to the content of a file.
    pub fn write(&self, file: &mut Vec<u8>) {
        frames::write_record(self, file);
    }
}

impl Saved {
    /// Upper bound in bytes of a file: twice the size of 100,000 sessions.
    pub const MAX_BYTES: usize = 512 * 1024 * 1024;

    /// Number of sessions and ended sessions.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.sessions.len() + self.ended.len()
    }

    /// The content of a file with this state. Records are appended to it.
    #[must_use]
    pub fn render(self) -> Vec<u8> {
        let mut file = format!("{TITLE}{VERSION}\n").into_bytes();
        for SavedSession { grant, state } in self.sessions {
            let key = grant.key;
            Record::Granted(grant).write(&mut file);
            Record::State(key, state).write(&mut file);
        }
        let ended = self.ended.into_iter().map(|(key, entry)| Record::Ended(key, entry));
        let positions = self.positions.into_iter().map(|(id, at)| Record::Position(id, at));
        ended.chain(positions).for_each(|record| record.write(&mut file));
        file
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
        let (version, records) = frames::head_line(bytes, TITLE).ok_or(Unreadable::Headless)?;
        if version != VERSION {
            return Err(Unreadable::Foreign(version, VERSION));
        }
        let mut replay = Replay::default();
        let Lost { damaged, torn } = frames::replay(records, |record| replay.apply(record));
        Ok(Loaded { journal: replay.saved(), damaged, torn })
    }
}

/// Applies records one after the other.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Replay {
    sessions: BTreeMap<SessionKey, SavedSession>,
    ended: BTreeMap<SessionKey, Tombstone>,
    positions: BTreeMap<GatewayId, Position>,
}

impl Replay {
    pub(in super::super) fn apply(&mut self, record: Record) {
        match record {
            Record::Granted(grant) => {
                let key = grant.key;
                let former = self.sessions.remove(&key).filter(|it| it.grant.is_for_same(&grant));
                let state = former.map(|former| former.state).unwrap_or_default();
                self.sessions.insert(key, SavedSession { grant, state });
            }
            Record::State(key, state) => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.state = state;
                }
            }
            Record::Removed(key) => {
                self.sessions.remove(&key);
            }
            Record::Ended(key, entry) => {
                self.sessions.remove(&key);
                self.ended.insert(key, entry);
            }
            Record::Position(id, position) => {
                self.positions.insert(id, position);
            }
        }
    }

    pub(in super::super) fn saved(self) -> Saved {
        Saved {
            sessions: self.sessions.into_values().collect(),
            ended: self.ended.into_iter().collect(),
            positions: self.positions.into_iter().collect(),
        }
    }
}

impl Standby {
    /// The state to be persisted.
    #[must_use]
    pub fn saved(&self) -> Saved {
        let sessions = self
            .sessions
            .values()
            .map(|session| SavedSession { grant: session.grant.clone(), state: session.saved() });
        Saved {
            sessions: sessions.collect(),
            ended: self.ended.iter().collect(),
            positions: self.positions().collect(),
        }
    }

    /// The changes of [`Standby::saved`] since the last call. Expired sessions that ended are
    /// forgotten without a record.
    pub fn take_records(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for key in std::mem::take(&mut self.unrecorded) {
            match self.sessions.get_mut(&key) {
                Some(session) => {
                    if !std::mem::replace(&mut session.is_recorded, true) {
                        records.push(Record::Granted(session.grant.clone()));
                    }
                    records.push(Record::State(key, session.saved()));
                }
                None => records.push(match self.ended.get(key) {
                    Some(entry) => Record::Ended(key, entry),
                    None => Record::Removed(key),
                }),
            }
        }
        // A position that is too old only makes the peer repeat what it has reported.
        if !records.is_empty() {
            records.extend(self.positions().map(|(id, position)| Record::Position(id, position)));
        }
        records
    }

    fn positions(&self) -> impl Iterator<Item = (GatewayId, Position)> {
        self.peers.iter().filter_map(|(id, peer)| Some((*id, peer.applied?)))
    }

    /// Restores the state of before a restart. This gateway serves no session until its client is
    /// heard: another one may have taken it over. The limits of `rules` apply to new grants only.
    #[must_use]
    pub fn restored(rules: Rules, boot: BootId, saved: Saved) -> Self {
        let mut standby = Self::new(rules, boot);
        for SavedSession { grant, state: SavedState { claim, highest, flows } } in saved.sessions {
            let key = grant.key;
            if !standby.sessions.contains_key(&key) {
                standby.insert(grant);
                standby.replace_flows(key, flows);
            }
            if let Some(session) = standby.sessions.get_mut(&key) {
                session.restore(claim, highest);
            }
        }
        for (key, tombstone) in saved.ended {
            standby.remove(key);
            standby.ended.restore(key, tombstone, 0);
        }
        for (id, position) in saved.positions {
            if let Some(peer) = standby.peers.get_mut(&id) {
                *peer = Peer::restored(position);
            }
        }
        standby
    }
}
