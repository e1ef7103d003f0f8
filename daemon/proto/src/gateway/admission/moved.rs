//! Sessions that move between gateways, and what the rules between gateways
//! ([`failover`](crate::failover)) need to know of a session.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use super::{
    super::{Destination, Side, Slot, Spi, SpiCandidates},
    Admission, Announcement, Dropped, End, Event, Origin, Record,
    ended::Ended,
    judge,
    leg::{Because, Placed},
    session::State,
    terms::Identity,
};
use crate::{
    SessionKey, Time,
    failover::{AgentFlow, ClientFlow, Flows},
};

impl Admission {
    /// Adds a session that another gateway served, even if `max_connections` is reached. Its
    /// datagrams are those of replicated flows, see [`Admission::inherit`], until its client sends
    /// the tag. `client` is where they come from.
    pub fn take_over(&mut self, announced: Announcement, client: Option<IpAddr>, now: Time) {
        let identity = Identity::of(&announced.id, announced.key);
        let tagged = self.by_tag.get(&announced.tag).copied();
        if let Some(slot) = self.by_identity.get(&identity).copied() {
            let is_same = tagged == Some(slot);
            if is_same {
                return;
            }
            self.end(slot, End::Superseded, now);
        }
        if let Some(slot) = tagged {
            self.end(slot, End::Superseded, now);
        }
        if self.free.is_empty() {
            let next = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
            self.free.push_back(Slot(next));
            self.sessions.push(None);
        }
        let id = announced.id.clone();
        let Some(slot) = self.insert(announced, State::Waiting(now), client) else { return };
        if let Some(session) = self.sessions[slot.index()].as_mut() {
            session.is_inherited = true;
        }
        self.list(slot);
        self.events.push(Event::TakenOver(slot, id));
    }

    /// Removes a session that another gateway serves now. It has not ended.
    pub fn hand_over(&mut self, key: SessionKey, now: Time) {
        let Some(slot) = self.by_identity.get(&Identity::Key(key)).copied() else { return };
        let Some(session) = self.remove(slot) else { return };
        self.events.push(Event::Moved(slot, session.id.clone()));
        self.records.push(Record::Ended(session.id.clone(), Ended::written(&session, now)));
    }

    /// Ends a session that a later grant replaced.
    pub fn supersede(&mut self, key: SessionKey, now: Time) {
        if let Some(slot) = self.by_identity.get(&Identity::Key(key)).copied() {
            self.end(slot, End::Superseded, now);
        }
    }

    /// Relays a datagram of a replicated flow from now on, and returns its destination.
    ///
    /// # Errors
    ///
    /// Why the datagram is dropped.
    pub fn inherit(
        &mut self,
        (key, side): (SessionKey, Side),
        Origin { from, local }: Origin,
        (spi, sequence): (Spi, Option<u32>),
        now: Time,
    ) -> Result<Destination, Dropped> {
        let slot = self.by_identity.get(&Identity::Key(key)).copied();
        let session = slot.and_then(|slot| self.sessions[slot.index()].as_mut());
        let session = session.ok_or(Dropped::Unknown)?;
        let slot = session.slot;
        let placed = Placed { from, spi, sequence, because: Because::Known };
        let (destination, changes) = session.place_at(side, placed, local, now);
        self.changes.extend(changes);
        self.note(slot);
        destination
    }

    /// Whether a datagram certainly belongs to a session: it has the flow, or its control
    /// connection revealed the SPI of a further flow.
    #[must_use]
    pub fn is_certain(&self, side: Side, from: SocketAddr, candidates: SpiCandidates) -> bool {
        let Some(place) = self.by_address.get(&(side, from.ip())) else { return false };
        let slots = place.candidates(candidates).into_iter();
        let sessions: Vec<_> = slots.filter_map(|slot| self.at(slot)).collect();
        judge::is_certain(&sessions, side, from, candidates)
    }

    /// The sessions whose clients were heard since the last call, and the source of their latest
    /// datagrams. `count` returns what the client of a slot has sent so far, in any unit.
    pub fn heard(&mut self, count: impl Fn(Slot) -> u64) -> Vec<(SessionKey, Option<SocketAddr>)> {
        let mut heard = Vec::new();
        for session in self.sessions.iter_mut().flatten() {
            let counted = count(session.slot);
            let before = session.heard.replace(counted);
            if before.is_some_and(|before| before != counted)
                && let Some(key) = session.key
            {
                heard.push((key, session.sources.current()));
            }
        }
        heard
    }

    /// The sessions whose flows may have changed since the last call.
    pub fn take_touched(&mut self) -> BTreeSet<Slot> {
        std::mem::take(&mut self.touched)
    }

    /// The flows of a session with a key. `at` is where clients send datagrams to, as far as the
    /// session does not know it better.
    #[must_use]
    pub fn flows(&self, slot: Slot, at: SocketAddr) -> Option<(SessionKey, Flows)> {
        let (_, session) = self.at(slot)?;
        let to = session.local.map_or(at, |local| SocketAddr::new(local.at, at.port()));
        let flows = |side| {
            let flows = session.leg(side).flows().iter();
            flows.filter_map(|flow| Some((flow.from?, flow.spi())))
        };
        let client = flows(Side::Client).map(|(from, spi)| ClientFlow { from, spi, to });
        let agent = flows(Side::Agent).map(|(from, spi)| AgentFlow { from, spi });
        Some((session.key?, Flows { client: client.collect(), agent: agent.collect() }))
    }

    /// Whether a session has this key.
    #[must_use]
    pub fn has_key(&self, key: SessionKey) -> bool {
        self.by_identity.contains_key(&Identity::Key(key))
    }

    /// The key of a session.
    #[must_use]
    pub fn key(&self, slot: Slot) -> Option<SessionKey> {
        self.at(slot)?.1.key
    }
}
