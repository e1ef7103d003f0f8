//! Which clients are admitted, and which session a datagram belongs to. It has a single owner and
//! emits its decisions as [`RouteChange`]s and [`Event`]s.
//!
//! A session is announced, and then connected by a client that sends its tag. A later connection
//! with the same tag replaces the earlier one. A session without a control connection can be
//! resumed, and continues while its client's datagrams flow. Only the control connection proves the
//! client's IP address: datagrams from another address never belong to the session, even if their
//! SPI matches, because an SPI is not a secret. Another port of the same address is accepted when
//! the former one has been silent for a second, and until that sends again ([`sources`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    net::IpAddr,
};

pub use journal::{Journal, Record, Replay};
pub use terms::{
    Admitted, Announcement, Control, Dropped, End, Event, Local, Origin, Refusal, Rules, Seen,
    Timeouts, View,
};
pub use usage::Usage;

use super::{Destination, FlowId, RouteChange, Side, Slot, SpiCandidates};
use crate::{SessionId, SessionKey, TagDigest, Time};
use ended::Ended;
use places::Place;
use session::{Session, State};
use terms::Identity;

mod ended;
mod journal;
mod judge;
mod leg;
mod moved;
mod places;
mod session;
mod sources;
mod terms;
#[cfg(test)]
mod tests;
mod usage;

/// All sessions, and the rules that apply to them.
#[derive(Debug)]
pub struct Admission {
    rules: Rules,
    /// As many slots as the largest `max_connections` so far.
    sessions: Vec<Option<Box<Session>>>,
    free: VecDeque<Slot>,
    by_identity: HashMap<Identity, Slot>,
    by_tag: HashMap<TagDigest, Slot>,
    /// The sessions that datagrams from an address may belong to.
    by_address: HashMap<(Side, IpAddr), Place>,
    /// The number of announced tags by their length in bytes.
    lengths: BTreeMap<usize, usize>,
    ended: Ended,
    controls: u64,
    records: Vec<Record>,
    changes: Vec<RouteChange>,
    events: Vec<Event>,
    /// The sessions whose flows may have changed.
    touched: BTreeSet<Slot>,
}

/// Lower bound for the number of ended sessions that are remembered.
const ENDED: usize = 1024;

/// Maximum number of ended sessions that are remembered.
fn remembered(rules: Rules) -> usize {
    ENDED.max(2 * rules.max_connections as usize)
}

impl Admission {
    /// An admission without sessions.
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
            ended: Ended::new(remembered(rules)),
            controls: 0,
            records: Vec::new(),
            changes: Vec::new(),
            events: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Changes the rules. No session ends because there are fewer places: only new sessions are
    /// refused. The timeouts also apply to the sessions that exist.
    pub fn set_rules(&mut self, rules: Rules) {
        let before = std::mem::replace(&mut self.rules, rules).timeouts.announced;
        let slots = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        let more = slots..rules.max_connections;
        self.sessions.extend(more.clone().map(|_| None));
        self.free.extend(more.map(Slot));
        self.ended.extend_to(remembered(rules));
        let mut changed = Vec::new();
        for session in self.sessions.iter_mut().flatten() {
            if let State::Announced(until) = &mut session.state {
                *until = *until - before + rules.timeouts.announced;
                changed.push(session.slot);
            }
        }
        changed.into_iter().for_each(|slot| self.record(slot));
    }

    /// Registers a session. A repeated announcement changes nothing, except that it may add the
    /// agent's name.
    ///
    /// A session is identified by its key, or by its session log id if the announcement has no key.
    /// If announcements contradict each other, the newest wins: a session without a client is
    /// replaced by a later announcement of the same session with another tag (the client's second
    /// attempt), and any session loses its tag to another session for the same agent (the agent's
    /// session continues after a new logon).
    ///
    /// # Errors
    ///
    /// [`Refusal::Full`], [`Refusal::Conflict`] or [`Refusal::Ended`].
    pub fn announce(&mut self, announced: Announcement, now: Time) -> Result<(), Refusal> {
        let mut superseded = Vec::new();
        let identity = Identity::of(&announced.id, announced.key);
        if let Some((slot, session)) = self.by_identity.get(&identity).and_then(|s| self.at(*s)) {
            if session.agent == announced.agent && session.tag == announced.tag {
                self.rename_agent(slot, announced);
                return Ok(());
            }
            // Tokens have a resolution of one second, and a client may ask twice within it.
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
        if self.is_full() && superseded.is_empty() {
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
            session.recorded = None;
            self.record(slot);
        }
    }

    /// Whether the session is announced or connected.
    #[must_use]
    pub fn has(&self, id: &SessionId, key: Option<SessionKey>) -> bool {
        self.by_identity.contains_key(&Identity::of(id, key))
    }

    /// Lengths in bytes of all tags that would be admitted, in ascending order.
    #[must_use]
    pub fn tag_lengths(&self) -> Vec<usize> {
        self.lengths.keys().copied().collect()
    }

    /// The first of these tags that belongs to an announced session.
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

    /// Admits a client that sent one of these tags, if one of them belongs to a session.
    pub fn admit(&mut self, tags: &[TagDigest], client: IpAddr, now: Time) -> Option<Admitted> {
        let known = |tag| self.by_tag.get(tag).and_then(|slot| self.at(*slot));
        let fresh = |session: &Session| !session.is_over(now, &self.rules.timeouts);
        let (slot, _) = tags.iter().filter_map(known).find(|(_, session)| fresh(session))?;
        self.controls += 1;
        let control = Control { slot, number: self.controls };
        let session = self.sessions[slot.index()].as_mut()?;
        if let State::Connected(number) = session.state {
            self.events.push(Event::Close(Control { slot, number }));
        }
        self.changes.extend(session.connect(control.number, client, now));
        let admitted = session.admitted(control);
        self.list(slot);
        self.correct(slot, None);
        Some(admitted)
    }

    /// Reads control bytes of one side. Returns whether it needs more, which is the case while they
    /// may contain SPIs of the session.
    pub fn observe(&mut self, control: Control, side: Side, bytes: &[u8]) -> bool {
        let Some(session) = self.current(control) else { return false };
        let piece = session.read(side, bytes);
        let wanted = session.wants(side);
        self.correct(control.slot, Some(piece));
        wanted
    }

    /// The control connection was closed. Its session waits for another one.
    pub fn control_closed(&mut self, control: Control, now: Time) {
        if let Some(session) = self.current(control) {
            session.state = State::Waiting(now);
            self.note(control.slot);
        }
    }

    /// Decides which session a datagram without a route belongs to, and where it is sent. `seen`
    /// returns the counters of a flow.
    ///
    /// # Errors
    ///
    /// Why the datagram is dropped.
    pub fn datagram(
        &mut self,
        side: Side,
        origin: Origin,
        candidates: SpiCandidates,
        clock: (Time, impl Fn(FlowId) -> Seen),
    ) -> Result<Destination, Dropped> {
        self.decide((side, true), origin, candidates, clock)
    }

    /// [`Admission::datagram`]. Without `may_guess`, the datagram belongs to a session only if the
    /// session has its SPI.
    ///
    /// # Errors
    ///
    /// Why the datagram is dropped.
    pub fn decide(
        &mut self,
        (side, may_guess): (Side, bool),
        Origin { from, local }: Origin,
        candidates: SpiCandidates,
        (now, seen): (Time, impl Fn(FlowId) -> Seen),
    ) -> Result<Destination, Dropped> {
        let place = self.by_address.get(&(side, from.ip())).ok_or(Dropped::Unknown)?;
        let slots = place.candidates(candidates).into_iter();
        let sessions: Vec<_> = slots.filter_map(|slot| self.at(slot)).collect();
        let (slot, placed) = judge::judge(&sessions, (side, may_guess), from, candidates)?;
        let session = self.sessions[slot.index()].as_mut().ok_or(Dropped::Unknown)?;
        session.look(side, now, seen);
        let (destination, changes) = session.place_at(side, placed, local, now);
        self.changes.extend(changes);
        self.note(slot);
        destination
    }

    /// Applies all deadlines up to `now`. `counted` returns the number of datagrams of a flow so
    /// far.
    pub fn tick(&mut self, now: Time, counted: impl Fn(FlowId) -> u64) {
        let Rules { timeouts, .. } = self.rules;
        let (mut over, mut changed) = (Vec::new(), Vec::new());
        for session in self.sessions.iter_mut().flatten() {
            let (has_changed, changes) = session.tick(now, &timeouts, &counted);
            self.changes.extend(changes);
            changed.extend(has_changed.then_some(session.slot));
            if session.is_over(now, &timeouts) {
                let unused = matches!(session.state, State::Announced(_));
                over.push((session.slot, if unused { End::Unused } else { End::ResumeTimeout }));
            }
        }
        changed.into_iter().for_each(|slot| self.note(slot));
        for (slot, reason) in over {
            self.end(slot, reason, now);
        }
        if self.ended.forget(now) {
            self.records.push(Record::Forgotten(now));
        }
    }

    /// The changes of the routes since the last call.
    pub fn take_changes(&mut self) -> Vec<RouteChange> {
        std::mem::take(&mut self.changes)
    }

    /// The events since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Number of sessions, announced and connected.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_identity.len()
    }

    /// The maximum number of sessions.
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.rules.max_connections as usize
    }

    /// Whether `max_connections` is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count() >= self.max_connections()
    }

    /// All sessions, for the status.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.sessions.iter().flatten().map(|session| session.view())
    }

    fn at(&self, slot: Slot) -> Option<(Slot, &Session)> {
        Some((slot, self.sessions.get(slot.index())?.as_ref()?))
    }

    /// The session of a control connection, unless another connection has replaced it.
    fn current(&mut self, control: Control) -> Option<&mut Session> {
        let session = self.sessions.get_mut(control.slot.index())?.as_deref_mut()?;
        (session.state == State::Connected(control.number)).then_some(session)
    }

    /// Stores a session, if there is a free slot.
    fn insert(
        &mut self,
        announced: Announcement,
        state: State,
        client: Option<IpAddr>,
    ) -> Option<Slot> {
        let slot = self.free.pop_front()?;
        self.by_identity.insert(Identity::of(&announced.id, announced.key), slot);
        self.by_tag.insert(announced.tag, slot);
        *self.lengths.entry(announced.tag.length).or_default() += 1;
        let session = Session::new(slot, announced, state, client);
        self.sessions[slot.index()] = Some(Box::new(session));
        self.record(slot);
        Some(slot)
    }

    fn end(&mut self, slot: Slot, reason: End, now: Time) {
        let Some(session) = self.remove(slot) else { return };
        self.events.push(Event::Ended(slot, session.id.clone(), reason));
        let ended = self.ended.remember(&session, now);
        self.records.push(Record::Ended(session.id, ended));
    }

    fn remove(&mut self, slot: Slot) -> Option<Box<Session>> {
        let session = self.sessions[slot.index()].take()?;
        self.free.push_back(slot);
        self.by_identity.remove(&session.identity());
        self.by_tag.remove(&session.tag);
        if let Some(count) = self.lengths.get_mut(&session.tag.length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&session.tag.length);
            }
        }
        for (side, listed) in Side::BOTH.into_iter().zip(session.listed.clone()) {
            self.relist(side, slot, listed, None);
        }
        self.changes.extend(session.routes().map(|(key, _)| RouteChange::Removed(key)));
        if let State::Connected(number) = session.state {
            self.events.push(Event::Close(Control { slot, number }));
        }
        Some(session)
    }
}
