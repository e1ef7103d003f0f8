//! All granted sessions: which gateway serves each, and when this one takes over.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

#[cfg(test)]
pub(super) use journal::Replay;
pub use journal::{Record, Saved, SavedSession, SavedState};

use super::{
    BootId, Claim, Content, Flows, Frame, GatewayId, Statement, Term,
    ended::Ended,
    index::Index,
    peer::Peer,
    session::{Served, Session},
    terms::{Fact, Grant, Output, Recipient, Refusal, Rules, View, Why},
};
use crate::{SessionId, SessionKey, TagDigest, Time, gateway::Side};

mod claims;
mod datagrams;
mod frames;
mod grants;
mod journal;

/// The sessions that gateways know in common, and the rules that apply to them.
#[derive(Debug)]
pub struct Standby {
    rules: Rules,
    boot: BootId,
    /// Number of the latest batch.
    sequence: u64,
    sessions: BTreeMap<SessionKey, Session>,
    /// The sessions that this gateway serves.
    served: BTreeMap<SessionKey, Served>,
    /// Grants of the same second may have the same tag.
    by_tag: HashMap<TagDigest, Vec<SessionKey>>,
    by_agent: HashMap<IpAddr, BTreeSet<SessionKey>>,
    /// The number of sessions by the length of their tags in bytes.
    lengths: BTreeMap<usize, usize>,
    index: Index,
    ended: Ended,
    peers: BTreeMap<GatewayId, Peer>,
    /// The beginning of the next batch.
    pending: Vec<Statement>,
    /// The sessions of which the next batch reports something.
    dirty: BTreeMap<SessionKey, Dirty>,
    heartbeat: Option<Time>,
    /// Whether this gateway does not drain.
    is_ready: bool,
    expired: Option<Time>,
    outputs: Vec<Output>,
    /// The sessions whose persistent state has changed.
    unrecorded: BTreeSet<SessionKey>,
}

/// What the next batch reports of a session.
#[derive(Debug, Clone, Copy, Default)]
struct Dirty {
    serving: bool,
    flows: bool,
    known: bool,
}

/// How often expired grants are removed. They are refused before that.
const EXPIRY: Duration = Duration::from_mins(1);

impl Standby {
    /// No sessions. `boot` is a random number.
    #[must_use]
    pub fn new(rules: Rules, boot: BootId) -> Self {
        let peers = rules.peers.iter().filter(|peer| **peer != rules.id);
        Self {
            peers: peers.map(|peer| (*peer, Peer::default())).collect(),
            rules,
            boot,
            sequence: 0,
            sessions: BTreeMap::new(),
            served: BTreeMap::new(),
            by_tag: HashMap::new(),
            by_agent: HashMap::new(),
            lengths: BTreeMap::new(),
            index: Index::default(),
            ended: Ended::default(),
            pending: Vec::new(),
            dirty: BTreeMap::new(),
            heartbeat: None,
            is_ready: true,
            expired: None,
            outputs: Vec::new(),
            unrecorded: BTreeSet::new(),
        }
    }

    /// The id of this gateway.
    #[must_use]
    pub fn id(&self) -> GatewayId {
        self.rules.id
    }

    /// The client was heard: a control connection was admitted or sent bytes, or datagrams were
    /// relayed. `from` is their source.
    pub fn heard(&mut self, key: SessionKey, from: Option<SocketAddr>, now: Time) {
        let Some(session) = self.sessions.get(&key) else { return };
        let Some(served) = self.served.get_mut(&key) else { return };
        served.heard = Some(now);
        if let (Some(inherited), Some(from)) = (&mut served.inherited, from) {
            inherited.hear(from, &session.flows, now);
        }
        self.raise(key);
    }

    /// The flows of a session that this gateway serves have changed. Those of a session without a
    /// control connection stay as they were replicated.
    pub fn flows(&mut self, key: SessionKey, flows: Flows) {
        let is_known = self.served.get(&key).is_some_and(|served| served.inherited.is_none());
        if is_known && self.replace_flows(key, flows) {
            self.dirty.entry(key).or_default().flows = true;
        }
    }

    /// A session that this gateway serves has ended.
    pub fn ended(&mut self, key: SessionKey) {
        if self.served.contains_key(&key) {
            self.bury(key);
        }
    }

    /// Ends the sessions that this gateway served before it restarted and whose clients have not
    /// been heard since, and returns their ids. Call it when they would have ended by themselves.
    /// Does nothing unless all peers are reachable: one of them may serve the sessions.
    pub fn end_unheard(&mut self, now: Time) -> Vec<SessionId> {
        if self.peers.values().any(|peer| peer.is_lost(now)) {
            return Vec::new();
        }
        let is_unheard = |(key, session): &(&SessionKey, &Session)| {
            let is_own = session.claim.is_some_and(|claim| claim.gateway == self.rules.id);
            is_own && session.claim == session.highest && !self.served.contains_key(key)
        };
        let unheard: Vec<_> =
            self.sessions.iter().filter(is_unheard).map(|(key, _)| *key).collect();
        let end = |key: SessionKey| {
            let id = self.sessions.get(&key)?.grant.id.clone();
            self.served.insert(key, Served::default());
            self.bury(key);
            Some(id)
        };
        unheard.into_iter().filter_map(end).collect()
    }

    /// Applies deadlines, and sends what has changed and heartbeats. Call it every 100 ms.
    pub fn tick(&mut self, now: Time) {
        self.expire(now);
        for (key, served) in &mut self.served {
            let is_silent = !served.is_heard(now);
            if served.said_silent != is_silent {
                served.said_silent = is_silent;
                self.dirty.entry(*key).or_default().serving = true;
            }
        }
        self.flush();
        if self.heartbeat.is_none_or(|last| now.since(last) >= super::HEARTBEAT) {
            self.heartbeat = Some(now);
            self.send(Recipient::All, Content::Heartbeat(self.is_ready));
        }
        self.request_snapshots(now);
    }

    /// The outputs since the last call.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Lengths in bytes of all granted tags, in ascending order.
    pub fn tag_lengths(&self) -> impl Iterator<Item = usize> {
        self.lengths.keys().copied()
    }

    /// Whether no session that this gateway does not serve has this address of a client or an agent.
    /// Otherwise, an unknown datagram may belong to such a session, and must not be guessed to
    /// belong to one of this gateway.
    #[must_use]
    pub fn may_guess(&self, side: Side, ip: IpAddr) -> bool {
        let is_served = |key: SessionKey| self.served.contains_key(&key);
        match side {
            Side::Client => self.index.of_client(ip).all(is_served),
            Side::Agent => self.by_agent.get(&ip).into_iter().flatten().all(|key| is_served(*key)),
        }
    }

    /// The clients' addresses with a replicated flow that have changed since the last call, and
    /// whether there is one now.
    pub fn take_addresses(&mut self) -> Vec<(IpAddr, bool)> {
        self.index.take_addresses()
    }

    /// Number of sessions that this gateway serves.
    #[must_use]
    pub fn served(&self) -> usize {
        self.served.len()
    }

    /// Number of sessions, served or not.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// All sessions, for the status.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.sessions.keys().filter_map(|key| self.view(*key))
    }

    /// One session.
    #[must_use]
    pub fn view(&self, key: SessionKey) -> Option<View<'_>> {
        let session = self.sessions.get(&key)?;
        let served = self.served.get(&key);
        Some(View {
            grant: &session.grant,
            claim: session.claim,
            is_served: served.is_some(),
            is_silent: served.map_or(session.is_silent, |served| served.said_silent),
            flows: &session.flows,
            moved: session.moved,
        })
    }

    /// The peers that were heard within their lease.
    pub fn reachable(&self, now: Time) -> impl Iterator<Item = GatewayId> {
        self.peers.iter().filter(move |(_, peer)| !peer.is_lost(now)).map(|(id, _)| *id)
    }

    /// A part of a long frame from this peer arrived or is being checked. Heartbeats wait behind it.
    pub fn arriving(&mut self, from: GatewayId, now: Time) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.renew(now);
        }
    }

    /// Reports to the peers whether this gateway accepts new sessions or drains.
    pub fn set_ready(&mut self, is_ready: bool) {
        self.is_ready = is_ready;
    }

    /// Whether a peer was heard within its lease that does not drain.
    #[must_use]
    pub fn has_ready_peer(&self, now: Time) -> bool {
        self.peers.values().any(|peer| peer.is_ready && !peer.is_lost(now))
    }

    /// Number of sessions that have ended and whose grants have not expired.
    #[must_use]
    pub fn tombstones(&self) -> usize {
        self.ended.count()
    }

    /// Removes sessions whose grants have expired. Expiry is not reported to peers: each gateway
    /// decides by its own clock. A session that is served continues.
    fn expire(&mut self, now: Time) {
        if self.expired.is_some_and(|last| now.since(last) < EXPIRY) {
            return;
        }
        self.expired = Some(now);
        let is_over = |(key, session): &(&SessionKey, &Session)| {
            session.grant.expires <= now && !self.served.contains_key(key)
        };
        let expired: Vec<_> = self.sessions.iter().filter(is_over).map(|(key, _)| *key).collect();
        for key in expired {
            self.remove(key);
        }
        self.ended.forget(now);
    }

    /// Claims a session for this gateway.
    fn serve(&mut self, key: SessionKey, served: Served, (now, why): (Time, Why)) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.take(self.rules.id);
        self.unrecorded.insert(key);
        session.moved = Some((now, why));
        let fact = |claim| Fact::Moved(session.grant.id.clone(), claim, why);
        self.outputs.extend(session.claim.map(fact).map(Output::Report));
        self.served.insert(key, served);
        *self.dirty.entry(key).or_default() = Dirty { serving: true, flows: true, known: false };
    }

    /// Removes a session that has ended. If this gateway served it, the peers are notified.
    fn bury(&mut self, key: SessionKey) {
        let was_served = self.served.contains_key(&key);
        let Some(session) = self.remove(key) else { return };
        let own = session.claim.filter(|_| was_served).map(|claim| claim.term);
        self.ended.remember(&session.grant, own.map(|term| (term, self.sequence + 1)));
        self.pending.extend(own.map(|term| Statement::Ended { key, term }));
    }

    fn remove(&mut self, key: SessionKey) -> Option<Session> {
        let session = self.sessions.remove(&key)?;
        self.unrecorded.insert(key);
        self.served.remove(&key);
        self.dirty.remove(&key);
        self.index.remove(key, &session.flows);
        if let Some(count) = self.lengths.get_mut(&session.grant.tag.length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&session.grant.tag.length);
            }
        }
        let agent = session.grant.agent.ip();
        if let Some(keys) = self.by_agent.get_mut(&agent) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_agent.remove(&agent);
            }
        }
        if let Some(keys) = self.by_tag.get_mut(&session.grant.tag) {
            keys.retain(|other| *other != key);
            if keys.is_empty() {
                self.by_tag.remove(&session.grant.tag);
            }
        }
        Some(session)
    }

    /// Returns whether anything has changed.
    fn replace_flows(&mut self, key: SessionKey, flows: Flows) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        let flows = flows.of_agent(session.grant.agent);
        if session.flows == flows {
            return false;
        }
        self.index.remove(key, &session.flows);
        self.index.insert(key, &flows);
        session.flows = flows;
        self.unrecorded.insert(key);
        true
    }

    fn send(&mut self, to: Recipient, content: Content) {
        let frame = Frame { boot: self.boot, sequence: self.sequence, content };
        self.outputs.push(Output::Send(to, frame));
    }
}
