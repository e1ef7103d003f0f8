//! The records that are appended to the journal, and the state that they lead to.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use serde::{Deserialize, Serialize};

use super::{Entry, Journal};
use crate::{
    SessionId, TagDigest, Time,
    frames::{self, Lost},
    gateway::admission::{ended::Written, terms::Identity},
    journal::Loaded,
};

/// A change of the [`Journal`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The session was added, or this is its new state.
    Session(Entry),
    /// The session ended, and its announcements are refused for some time.
    Ended(SessionId, Written),
    /// The ended sessions that were to be remembered until this time, or an earlier one, are
    /// forgotten.
    Forgotten(Time),
}

impl Record {
    /// Appends the record to the content of a file.
    pub fn write(&self, file: &mut Vec<u8>) {
        frames::write_record(self, file);
    }
}

/// Applies records one after the other.
#[derive(Debug, Default)]
pub struct Replay {
    sessions: Ordered<Identity, Entry>,
    by_tag: HashMap<TagDigest, Identity>,
    ended: Ordered<Identity, (SessionId, Written)>,
}

impl Replay {
    /// Applies a record. If the records contradict each other because others are missing, the later
    /// one is right.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Session(entry) => {
                let identity = Identity::of(&entry.id, entry.key);
                self.remove(&identity, Some(entry.tag));
                let former = self.by_tag.insert(entry.tag, identity.clone());
                if let Some(other) = former.filter(|other| *other != identity) {
                    self.sessions.remove(&other);
                }
                self.sessions.put(identity, entry);
            }
            Record::Ended(id, written) => {
                let identity = Identity::of(&id, written.key);
                self.remove(&identity, None);
                self.ended.remove(&identity);
                self.ended.put(identity, (id, written));
            }
            Record::Forgotten(time) => self.ended.retain(|(_, written)| written.until > time),
        }
    }

    /// The state after all records so far. The sessions are in the order of their first records.
    #[must_use]
    pub fn journal(self) -> Journal {
        Journal { sessions: self.sessions.values(), ended: self.ended.values() }
    }

    /// Removes a session, unless it keeps its tag.
    fn remove(&mut self, identity: &Identity, tag: Option<TagDigest>) {
        let Some(entry) = self.sessions.get(identity) else { return };
        if tag != Some(entry.tag) {
            self.by_tag.remove(&entry.tag);
            self.sessions.remove(identity);
        }
    }
}

/// Reads the records of a file, without its first line.
pub(super) fn read(bytes: &[u8]) -> Loaded<Journal> {
    let mut replay = Replay::default();
    let Lost { damaged, torn } = frames::replay(bytes, |record| replay.apply(record));
    Loaded { journal: replay.journal(), damaged, torn }
}

/// A map whose values keep the order in which their keys were first put.
#[derive(Debug)]
struct Ordered<K, V> {
    next: u64,
    places: HashMap<K, u64>,
    values: BTreeMap<u64, (K, V)>,
}

impl<K, V> Default for Ordered<K, V> {
    fn default() -> Self {
        Self { next: 0, places: HashMap::new(), values: BTreeMap::new() }
    }
}

impl<K: Clone + Eq + Hash, V> Ordered<K, V> {
    fn get(&self, key: &K) -> Option<&V> {
        self.values.get(self.places.get(key)?).map(|(_, value)| value)
    }

    fn put(&mut self, key: K, value: V) {
        let place = *self.places.entry(key.clone()).or_insert(self.next);
        self.next += 1;
        self.values.insert(place, (key, value));
    }

    fn remove(&mut self, key: &K) {
        if let Some(place) = self.places.remove(key) {
            self.values.remove(&place);
        }
    }

    fn retain(&mut self, keep: impl Fn(&V) -> bool) {
        let Self { places, values, .. } = self;
        values.retain(|_, (key, value)| {
            let is_kept = keep(value);
            if !is_kept {
                places.remove(key);
            }
            is_kept
        });
    }

    fn values(self) -> Vec<V> {
        self.values.into_values().map(|(_, value)| value).collect()
    }
}
