//! Who is let through, and which datagrams are whose. One owner calls it; what it decides comes out
//! as [`RouteChange`]s of the routes and as [`Event`]s.
//!
//! A session is announced, then connected by whoever shows its tag. A later connection with the tag
//! takes over from an earlier one, and a session whose control connection is gone waits for another
//! and lives on while its client's datagrams flow. Only the control connection tells where a client
//! is: datagrams from another IP address belong to no session of that client, however well their
//! SPI fits, because an SPI is no secret. Another port of the same address is followed when the
//! former one has been silent for a second, and until that speaks again ([`sources`]).

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::{IpAddr, SocketAddr},
};

pub use journal::{Journal, Unreadable};
pub use terms::{
    Admitted, Announcement, Arrival, Control, Dropped, End, Event, Refusal, Rules, Seen, Timeouts,
    View,
};
pub use usage::Usage;

use super::{Destination, FlowId, RouteChange, Side, Slot, Spi, SpiCandidates};
use crate::{SessionId, SessionKey, TagDigest, Time};
use ended::Ended;
use leg::{Because, Placed, SILENCE};
use session::{Piece, Session, State};
use terms::Identity;

mod ended;
mod journal;
mod judge;
mod leg;
mod session;
mod sources;
mod terms;
#[cfg(test)]
mod tests;
mod usage;

/// Every session, and the rules that they live by.
#[derive(Debug)]
pub struct Admission {
    rules: Rules,
    sessions: Vec<Option<Box<Session>>>,
    free: VecDeque<Slot>,
    by_identity: HashMap<Identity, Slot>,
    by_tag: HashMap<TagDigest, Slot>,
    /// The sessions that datagrams from an address may belong to.
    by_address: HashMap<(Side, IpAddr), Vec<Slot>>,
    /// How many tags have this length.
    lengths: BTreeMap<usize, usize>,
    ended: Ended,
    controls: u64,
    revision: u64,
    changes: Vec<RouteChange>,
    events: Vec<Event>,
}

/// Ended sessions that are remembered even by a gateway that may have few.
const ENDED: usize = 1024;

impl Admission {
    /// No session so far.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            sessions: (0..rules.max_connections).map(|_| None).collect(),
            free: (0..rules.max_connections).map(Slot).collect(),
            by_identity: HashMap::new(),
            by_tag: HashMap::new(),
            by_address: HashMap::new(),
            lengths: BTreeMap::new(),
            ended: Ended::new(ENDED.max(2 * rules.max_connections as usize)),
            controls: 0,
            revision: 0,
            changes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Takes an announcement. The same one again changes nothing, but for a name of the agent that
    /// a later one tells.
    ///
    /// A session is known by its key, or by its session log id where the announcement has no key. The
    /// newest wins where two disagree: a session that nobody is connected to gives way to a later
    /// announcement of the same session with another tag (the client's second attempt), and any
    /// session gives its tag to another session for the same agent (the agent's session goes on,
    /// after a new login).
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn announce(&mut self, announced: Announcement, now: Time) -> Result<(), Refusal> {
        let mut superseded = Vec::new();
        let identity = Identity::of(&announced.id, announced.key);
        if let Some((slot, session)) = self.by_identity.get(&identity).and_then(|s| self.at(*s)) {
            if session.agent == announced.agent && session.tag == announced.tag {
                self.rename_agent(slot, announced);
                return Ok(());
            }
            // Tokens tell seconds, and a client may ask twice within one.
            if session.is_connected() || announced.issued < session.issued {
                return Err(Refusal::Conflict);
            }
            superseded.push(slot);
        } else if self.ended.covers(&announced) {
            return Err(Refusal::Ended);
        }
        if let Some((slot, session)) = self.by_tag.get(&announced.tag).and_then(|s| self.at(*s)) {
            if session.agent != announced.agent {
                return Err(Refusal::Conflict);
            }
            superseded.push(slot);
        }
        if self.free.len() + superseded.len() == 0 {
            return Err(Refusal::Full);
        }
        for slot in superseded {
            self.end(slot, End::Superseded, now);
        }
        let id = announced.id.clone();
        let until = now + self.rules.timeouts.announced;
        if let Some(slot) = self.insert(announced, State::Announced(until), None) {
            self.events.push(Event::Opened(slot, id));
        }
        Ok(())
    }

    fn rename_agent(&mut self, slot: Slot, announced: Announcement) {
        let Some(session) = self.sessions[slot.index()].as_mut() else { return };
        let is_later = announced.issued > session.issued;
        if is_later && announced.hostname.is_some() && session.hostname != announced.hostname {
            session.hostname = announced.hostname;
            self.revision += 1;
        }
    }

    /// Whether a session is announced or connected.
    #[must_use]
    pub fn has(&self, id: &SessionId, key: Option<SessionKey>) -> bool {
        self.by_identity.contains_key(&Identity::of(id, key))
    }

    /// The lengths of all tags that would be let in, in ascending order.
    #[must_use]
    pub fn tag_lengths(&self) -> Vec<usize> {
        self.lengths.keys().copied().collect()
    }

    /// The first of these tags that a client would be let in with.
    #[must_use]
    pub fn announced(
        &self,
        tags: impl IntoIterator<Item = TagDigest>,
        now: Time,
    ) -> Option<TagDigest> {
        tags.into_iter().find(|tag| {
            let session = self.by_tag.get(tag).and_then(|slot| self.at(*slot));
            session.is_some_and(|(_, session)| !session.is_over(now, &self.rules.timeouts))
        })
    }

    /// Lets a client in that showed one of these tags, if one of them is a session's.
    pub fn admit(&mut self, tags: &[TagDigest], client: Arrival, now: Time) -> Option<Admitted> {
        let known = |tag| self.by_tag.get(tag).and_then(|slot| self.at(*slot));
        let fresh = |session: &Session| !session.is_over(now, &self.rules.timeouts);
        let (slot, _) = tags.iter().filter_map(known).find(|(_, session)| fresh(session))?;
        self.controls += 1;
        self.revision += 1;
        let control = Control { slot, number: self.controls };
        let session = self.sessions[slot.index()].as_mut()?;
        if let State::Connected(number) = session.state {
            self.events.push(Event::Close(Control { slot, number }));
        }
        let before = session.client;
        self.changes.extend(session.connect(control.number, client, now));
        let client = client.from;
        let admitted = session.admitted(control);
        if let Some(before) = before.filter(|before| *before != client) {
            self.unlist(Side::Client, before, slot);
        }
        self.list(Side::Client, client, slot);
        self.list(Side::Agent, admitted.agent.ip(), slot);
        self.correct(slot, None);
        Some(admitted)
    }

    /// Takes what went through a control connection. Whether more is wanted: it is, while the
    /// session's SPIs may stand in it.
    pub fn observe(&mut self, control: Control, side: Side, bytes: &[u8]) -> bool {
        let Some(session) = self.current(control) else { return false };
        let piece = session.read(side, bytes);
        let wanted = session.wants(side);
        self.correct(control.slot, Some(piece));
        wanted
    }

    /// A control connection is gone; its session waits for another one.
    pub fn control_closed(&mut self, control: Control, now: Time) {
        if let Some(session) = self.current(control) {
            session.state = State::Waiting(now);
            self.revision += 1;
        }
    }

    /// Decides whose a datagram is that has no route, and where it goes. `seen` tells what went
    /// through a flow so far.
    ///
    /// # Errors
    ///
    /// Why it goes nowhere.
    pub fn datagram(
        &mut self,
        side: Side,
        from: SocketAddr,
        candidates: SpiCandidates,
        (now, seen): (Time, impl Fn(FlowId) -> Seen),
    ) -> Result<Destination, Dropped> {
        let slots = self.by_address.get(&(side, from.ip())).ok_or(Dropped::Unknown)?;
        let sessions: Vec<_> = slots.iter().filter_map(|slot| self.at(*slot)).collect();
        let (slot, placed) = judge::judge(&sessions, side, from, candidates)?;
        let session = self.sessions[slot.index()].as_mut().ok_or(Dropped::Unknown)?;
        session.look(side, now, seen);
        let (destination, changes) = session.place(side, placed, now);
        self.changes.extend(changes);
        destination
    }

    /// Lets time pass. `counted` tells how many datagrams a flow had so far.
    pub fn tick(&mut self, now: Time, counted: impl Fn(FlowId) -> u64) {
        let Rules { timeouts, .. } = self.rules;
        let mut over = Vec::new();
        for session in self.sessions.iter_mut().flatten() {
            self.changes.extend(session.tick(now, &timeouts, &counted));
            if session.client_changed() {
                self.revision += 1;
            }
            if session.is_over(now, &timeouts) {
                let unused = matches!(session.state, State::Announced(_));
                over.push((session.slot, if unused { End::Unused } else { End::ResumeTimeout }));
            }
        }
        for (slot, reason) in over {
            self.end(slot, reason, now);
        }
        self.ended.forget(now);
    }

    /// The changes of the routes since the last call.
    pub fn take_changes(&mut self) -> Vec<RouteChange> {
        std::mem::take(&mut self.changes)
    }

    /// The events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_identity.len()
    }

    /// Whether no further session has a place.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// A greater number whenever the journal says something else, but for what time alone changes.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Every session.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.sessions.iter().flatten().map(|session| session.view())
    }

    fn at(&self, slot: Slot) -> Option<(Slot, &Session)> {
        Some((slot, self.sessions.get(slot.index())?.as_ref()?))
    }

    /// The session of a control connection, while it is the session's present one.
    fn current(&mut self, control: Control) -> Option<&mut Session> {
        let session = self.sessions.get_mut(control.slot.index())?.as_deref_mut()?;
        (session.state == State::Connected(control.number)).then_some(session)
    }

    /// Gives a session a place, if there is one.
    fn insert(
        &mut self,
        announced: Announcement,
        state: State,
        client: Option<IpAddr>,
    ) -> Option<Slot> {
        let slot = self.free.pop_front()?;
        self.revision += 1;
        self.by_identity.insert(Identity::of(&announced.id, announced.key), slot);
        self.by_tag.insert(announced.tag, slot);
        *self.lengths.entry(announced.tag.length).or_default() += 1;
        let session = Session::new(slot, announced, state, client);
        self.sessions[slot.index()] = Some(Box::new(session));
        Some(slot)
    }

    fn end(&mut self, slot: Slot, reason: End, now: Time) {
        let Some(session) = self.sessions[slot.index()].take() else { return };
        self.revision += 1;
        self.free.push_back(slot);
        self.by_identity.remove(&session.identity());
        self.by_tag.remove(&session.tag);
        if let Some(count) = self.lengths.get_mut(&session.tag.length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&session.tag.length);
            }
        }
        if let Some(client) = session.client {
            self.unlist(Side::Client, client, slot);
            self.unlist(Side::Agent, session.agent.ip(), slot);
        }
        self.changes.extend(session.routes().map(|(key, _)| RouteChange::Removed(key)));
        if let State::Connected(number) = session.state {
            self.events.push(Event::Close(Control { slot, number }));
        }
        self.events.push(Event::Ended(slot, session.id.clone(), reason));
        self.ended.remember(&session, now);
    }

    fn list(&mut self, side: Side, ip: IpAddr, slot: Slot) {
        let listed = self.by_address.entry((side, ip)).or_default();
        if listed.is_empty() {
            self.changes.push(RouteChange::Expected(side, ip));
        }
        if !listed.contains(&slot) {
            listed.push(slot);
        }
    }

    fn unlist(&mut self, side: Side, ip: IpAddr, slot: Slot) {
        let Some(listed) = self.by_address.get_mut(&(side, ip)) else { return };
        listed.retain(|other| *other != slot);
        if listed.is_empty() {
            self.by_address.remove(&(side, ip));
            self.changes.push(RouteChange::Unexpected(side, ip));
        }
    }

    /// After a session told something or came to an address: flows from there that were guessed to
    /// be others' and whose SPI it told are its own. Of what it told, only the last piece is searched:
    /// what was told before a datagram came has decided whose that is.
    fn correct(&mut self, slot: Slot, piece: Option<Piece>) {
        for side in Side::BOTH {
            let Some((_, session)) = self.at(slot) else { return };
            let Some(ip) = session.address(side) else { return };
            let Some(listed) = self.by_address.get(&(side, ip)) else { return };
            let guessed = listed.iter().filter_map(|slot| self.at(*slot));
            let wrong: Vec<_> = guessed
                .flat_map(|(other, session)| session.guesses(side).map(move |flow| (other, flow)))
                .filter_map(|(other, flow)| {
                    let shows = |spi| match piece {
                        Some(piece) => session.shows_in(piece, spi),
                        None => session.told(spi),
                    };
                    let told = |spi: &Spi| !spi.is_reserved() && shows(*spi);
                    let spi = flow.spis().find(told)?;
                    let (from, because) = (flow.from?, Because::Told);
                    Some((other, flow, Placed { from, spi, sequence: None, because }))
                })
                .collect();
            for (other, flow, placed) in wrong {
                if let Some(other) = self.sessions[other.index()].as_mut().filter(|_| other != slot)
                {
                    self.changes.extend(other.forget_flow(side, flow.id));
                }
                if let Some(session) = self.sessions[slot.index()].as_mut() {
                    // Without a destination it gets its route when there is one. It proves nothing of
                    // where the client is while that speaks elsewhere.
                    let long_ago = flow.active - SILENCE;
                    let (_, changes) = session.place(side, placed, long_ago);
                    self.changes.extend(changes);
                }
            }
        }
    }
}
