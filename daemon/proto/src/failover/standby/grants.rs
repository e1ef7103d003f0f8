//! Announcements and grants, and the takeover by a client that sends its tag.

use super::{
    super::session::{Served, Session},
    Flows, Grant, Output, Refusal, Standby, Statement, Why,
};
use crate::{SessionKey, TagDigest, Time};

impl Standby {
    /// The Connection Manager announced the session to this gateway, and `Admission` has accepted
    /// it.
    ///
    /// # Errors
    ///
    /// [`Refusal`]: the session is served, but no other gateway can take it over.
    pub fn announced(&mut self, grant: Grant, now: Time) -> Result<(), Refusal> {
        let key = grant.key;
        let tag = grant.tag;
        self.accept(grant, true, now)?;
        // Of two keys in the same second, the later one counts.
        for other in self.by_tag.get(&tag).cloned().unwrap_or_default() {
            if other != key && self.served.contains_key(&other) {
                self.supersede(other);
            }
        }
        if !self.served.contains_key(&key) {
            self.pending.extend(
                self.sessions.get(&key).map(|session| Statement::Grant(session.grant.clone())),
            );
            self.serve(key, Served::default(), (now, Why::Announced));
        }
        Ok(())
    }

    /// The Connection Manager, or a peer, sent a grant.
    ///
    /// # Errors
    ///
    /// [`Refusal`] by variant. A repeated grant is accepted.
    pub fn grant(&mut self, grant: Grant, now: Time) -> Result<(), Refusal> {
        self.accept(grant, false, now)
    }

    /// The session with one of these tags, for a client that sent them over a control connection.
    /// This gateway serves it from now on.
    pub fn take_over(&mut self, tags: &[TagDigest], now: Time) -> Option<Grant> {
        let key = tags.iter().find_map(|tag| self.by_its_tag(*tag, now))?;
        let heard = Served { heard: Some(now), ..Served::default() };
        if let Some(served) = self.served.get_mut(&key) {
            served.inherited = None;
            self.heard(key, None, now);
        } else {
            let session = self.sessions.get(&key)?;
            let grant = session.grant.clone();
            self.serve(key, heard, (now, Why::Tag));
            self.outputs.push(Output::TakeOver(grant, Flows::default()));
        }
        self.sessions.get(&key).map(|session| session.grant.clone())
    }

    /// The first of these tags that belongs to a session.
    #[must_use]
    pub fn granted(
        &self,
        tags: impl IntoIterator<Item = TagDigest>,
        now: Time,
    ) -> Option<TagDigest> {
        tags.into_iter().find(|tag| self.by_its_tag(*tag, now).is_some())
    }

    /// If several sessions have the tag, the one that was announced last, as far as known.
    fn by_its_tag(&self, tag: TagDigest, now: Time) -> Option<SessionKey> {
        let sessions = self.by_tag.get(&tag)?.iter().filter_map(|key| {
            let session = self.sessions.get(key)?;
            let is_valid = session.grant.expires > now || self.served.contains_key(key);
            is_valid.then_some((session.grant.issued, session.claim, *key))
        });
        sessions.max().map(|(.., key)| key)
    }

    fn accept(&mut self, grant: Grant, is_announced: bool, now: Time) -> Result<(), Refusal> {
        if grant.expires <= now || grant.expires > grant.issued + Grant::VALID {
            return Err(Refusal::Expired);
        }
        if self.ended.covers(&grant) {
            return Err(Refusal::Ended);
        }
        let mut superseded = Vec::new();
        if let Some(session) = self.sessions.get_mut(&grant.key) {
            if session.grant.is_for_same(&grant) {
                if grant.issued > session.grant.issued {
                    self.unrecorded.insert(grant.key);
                    session.grant = grant;
                    session.is_recorded = false;
                }
                return Ok(());
            }
            let is_heard = self.served.get(&grant.key).is_some_and(|served| served.is_heard(now));
            if is_heard || grant.issued < session.grant.issued {
                return Err(Refusal::Conflict);
            }
            superseded.push(grant.key);
        }
        for key in self.by_tag.get(&grant.tag).into_iter().flatten() {
            let Some(other) = self.sessions.get(key).map(|session| &session.grant) else {
                continue;
            };
            if other.agent != grant.agent {
                return Err(Refusal::Conflict);
            }
            if other.issued > grant.issued {
                return Err(Refusal::Superseded);
            }
            if other.issued < grant.issued {
                superseded.push(*key);
            }
        }
        self.check_room(&superseded, is_announced)?;
        self.peers.values_mut().for_each(|peer| peer.granted(grant.key));
        for key in superseded {
            if key == grant.key {
                self.replace(key, is_announced);
            } else {
                self.supersede(key);
            }
        }
        self.insert(grant);
        Ok(())
    }

    /// A session that this gateway serves does not stand by, but its end must be remembered.
    fn check_room(&self, superseded: &[SessionKey], is_announced: bool) -> Result<(), Refusal> {
        let replaced = superseded.iter().filter(|key| !self.served.contains_key(key)).count();
        let sessions = self.sessions.len() + 1 - replaced;
        let standing = sessions - self.served.len();
        let is_full = !is_announced && standing > self.rules.max_standby;
        if is_full || sessions + self.ended.count() > self.rules.max_remembered {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, grant: Grant) {
        self.by_tag.entry(grant.tag).or_default().push(grant.key);
        self.by_agent.entry(grant.agent.ip()).or_default().insert(grant.key);
        *self.lengths.entry(grant.tag.length).or_default() += 1;
        self.unrecorded.insert(grant.key);
        self.sessions.insert(grant.key, Session::new(grant));
    }

    /// A later grant has the same tag.
    fn supersede(&mut self, key: SessionKey) {
        if self.served.contains_key(&key) {
            self.outputs.push(Output::End(key));
            self.bury(key);
        } else {
            self.remove(key);
        }
    }

    /// A later grant has the same key and another tag: the client's second attempt. `Admission` has
    /// replaced an announced session itself.
    fn replace(&mut self, key: SessionKey, is_announced: bool) {
        if self.served.contains_key(&key) && !is_announced {
            self.outputs.push(Output::End(key));
        }
        self.remove(key);
    }
}
