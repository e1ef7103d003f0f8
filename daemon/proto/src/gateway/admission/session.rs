//! One session: what its control connection revealed, and its flows.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    super::{Destination, FlowId, Key, RouteChange, Side, Slot, Spi},
    Admitted, Announcement, Control, Dropped, Local, Timeouts, View,
    journal::Recorded,
    leg::{Because, Flow, Learned, Leg, Placed},
    places::Listed,
    sources::Sources,
    terms::{Identity, Seen},
};
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time};

/// A session, from its announcement to its end.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) slot: Slot,
    pub(super) id: SessionId,
    pub(super) key: Option<SessionKey>,
    pub(super) agent: SocketAddr,
    pub(super) hostname: Option<Hostname>,
    pub(super) tag: TagDigest,
    pub(super) issued: Time,
    pub(super) state: State,
    pub(super) client: Option<IpAddr>,
    /// Where it is listed, by side, since its first client was admitted.
    pub(super) listed: [Option<Listed>; 2],
    /// The state in the latest record of the session.
    pub(super) recorded: Option<Recorded>,
    /// What its client had sent when [`super::Admission::heard`] was last called.
    pub(super) heard: Option<u64>,
    /// Whether it has only replicated flows, since it was taken over without a control connection.
    pub(super) is_inherited: bool,
    /// Source of the client's datagrams, and destination of the agent's.
    pub(super) sources: Sources,
    /// The local address to which the client sends datagrams.
    pub(super) local: Option<Local>,
    /// Until when control bytes are retained.
    learning: Option<Time>,
    legs: [Leg; 2],
}

/// The latest control bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    side: Side,
    /// Offset among the retained bytes, minus the bytes of an SPI that may have begun before.
    start: usize,
}

/// Destination of a side's datagrams, and their source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Far {
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
    /// The local address that they come to, if it is known.
    pub(super) at: Option<IpAddr>,
}

impl Far {
    pub(super) fn destination(self, flow: FlowId) -> Destination {
        Destination { to: self.to, from: self.from, at: self.at, flow }
    }
}

/// The state of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No client has connected; the deadline.
    Announced(Time),
    /// The number of its control connection.
    Connected(u64),
    /// It has had no control connection since then.
    Waiting(Time),
}

/// Maximum time for which control bytes are retained.
const LEARNING: Duration = Duration::from_mins(1);

impl Session {
    pub(super) fn new(
        slot: Slot,
        announced: Announcement,
        state: State,
        client: Option<IpAddr>,
    ) -> Self {
        let Announcement { id, key, agent, hostname, tag, issued } = announced;
        Self {
            slot,
            id,
            key,
            agent,
            hostname,
            tag,
            issued,
            state,
            client,
            listed: [None, None],
            recorded: None,
            heard: None,
            is_inherited: false,
            sources: Sources::default(),
            local: None,
            learning: None,
            legs: Side::BOTH.map(|side| Leg::new(slot, side)),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::of(&self.id, self.key)
    }

    /// Starts a control connection. Flows continue, and new ones are accepted. Nothing is relayed
    /// to or from the client's former address any more.
    pub(super) fn connect(&mut self, number: u64, client: IpAddr, now: Time) -> Vec<RouteChange> {
        self.changing(|session| {
            session.state = State::Connected(number);
            session.is_inherited = false;
            session.learning = Some(now + LEARNING);
            session.legs.iter_mut().for_each(Leg::connect);
            if session.client.replace(client) != Some(client) {
                session.leg_mut(Side::Client).uproot();
                session.sources.replace(None);
            }
        })
        .1
    }

    pub(super) fn admitted(&self, control: Control) -> Admitted {
        let Self { id, agent, hostname, .. } = self;
        Admitted { control, id: id.clone(), agent: *agent, hostname: hostname.clone() }
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected(_))
    }

    /// Whether the client is present. An agent may keep sending to a client that has left, so only
    /// the client's flows count.
    pub(super) fn has_client(&self) -> bool {
        self.is_connected() || !self.leg(Side::Client).flows().is_empty()
    }

    pub(super) fn is_over(&self, now: Time, timeouts: &Timeouts) -> bool {
        match self.state {
            State::Announced(until) => now >= until,
            State::Connected(_) => false,
            State::Waiting(since) => now >= since + timeouts.resume && !self.has_client(),
        }
    }

    /// Reads control bytes of one side, and returns their position.
    pub(super) fn read(&mut self, side: Side, bytes: &[u8]) -> Piece {
        let retain = self.learning.is_some();
        Piece { side, start: self.leg_mut(side).read(bytes, retain) }
    }

    /// Whether control bytes of that side can reveal anything more.
    pub(super) fn wants(&self, side: Side) -> bool {
        self.learning.is_some() || self.leg(side).understands()
    }

    /// Whether parsed chunks of either side contain the SPI.
    pub(super) fn revealed(&self, spi: Spi) -> bool {
        self.legs.iter().any(|leg| leg.names(spi))
    }

    /// Whether control bytes of either side contain the SPI.
    pub(super) fn shows(&self, spi: Spi) -> bool {
        self.revealed(spi) || self.legs.iter().any(|leg| leg.retains(spi))
    }

    /// Whether parsed chunks contain the SPI, or these control bytes do.
    pub(super) fn shows_in(&self, piece: Piece, spi: Spi) -> bool {
        self.revealed(spi) || self.leg(piece.side).retained().contains_behind(piece.start, spi)
    }

    /// Every SPI that parsed chunks contain, or these control bytes do.
    pub(super) fn shown(&self, piece: Option<Piece>) -> impl Iterator<Item = Spi> {
        let retained =
            piece.map(|Piece { side, start }| self.leg(side).retained().spis_behind(start));
        let revealed = self.legs.iter().flat_map(Leg::revealed);
        revealed.copied().chain(retained.into_iter().flatten())
    }

    /// Whether retained control bytes may contain an SPI.
    pub(super) fn retains(&self) -> bool {
        self.legs.iter().any(|leg| !leg.retained().is_empty())
    }

    /// Whether that side has had no new flow since the control connection began.
    pub(super) fn lacks_flow(&self, side: Side) -> bool {
        !self.is_inherited && self.leg(side).learned() == Learned::Nothing
    }

    pub(super) fn has_flow(&self, side: Side, spi: Spi) -> bool {
        self.leg(side).flows().iter().any(|flow| flow.has(spi))
    }

    /// Whether it has a flow with this SPI that is not a guess.
    pub(super) fn has_revealed_flow(&self, side: Side, spi: Spi) -> bool {
        self.leg(side).flows().iter().any(|flow| flow.has(spi) && !flow.is_guessed())
    }

    pub(super) fn has_flow_from(&self, side: Side, from: SocketAddr, spi: Spi) -> bool {
        self.leg(side).flows().iter().any(|flow| flow.is(from, spi))
    }

    pub(super) fn guesses(&self, side: Side) -> impl Iterator<Item = Flow> {
        self.leg(side).flows().iter().filter(|flow| flow.is_guessed()).copied()
    }

    /// The IP address from which datagrams of that side are accepted.
    pub(super) fn address(&self, side: Side) -> Option<IpAddr> {
        match side {
            Side::Client => self.client,
            Side::Agent => Some(self.agent.ip()),
        }
    }

    /// All routes of the session.
    pub(super) fn routes(&self) -> impl Iterator<Item = (Key, Destination)> {
        let at = self.sources.current();
        Side::BOTH.into_iter().flat_map(move |side| self.leg(side).routes(at, self.far(side)))
    }

    /// Updates the flows of that side from their counters.
    pub(super) fn look(&mut self, side: Side, now: Time, seen: impl Fn(FlowId) -> Seen) {
        self.leg_mut(side).look(now, seen);
    }

    /// Adds a flow to the session, if its source is acceptable.
    pub(super) fn place(
        &mut self,
        side: Side,
        placed: Placed,
        now: Time,
    ) -> (Result<Destination, Dropped>, Vec<RouteChange>) {
        self.place_at(side, placed, None, now)
    }

    /// The same for a datagram that came to this local address. The agent's datagrams leave from
    /// where those of the client come to.
    pub(super) fn place_at(
        &mut self,
        side: Side,
        placed: Placed,
        local: Option<Local>,
        now: Time,
    ) -> (Result<Destination, Dropped>, Vec<RouteChange>) {
        self.changing(|session| {
            session.follow(side, &placed, now)?;
            if side == Side::Client && local.is_some() {
                session.local = local;
            }
            let flow = session.leg_mut(side).place(placed, now);
            if session.legs.iter().all(|leg| leg.learned() == Learned::Flow) {
                session.learning = None;
                session.legs.iter_mut().for_each(Leg::wipe);
            }
            let far = session.far(side).ok_or(Dropped::NoDestination)?;
            Ok(far.destination(flow))
        })
    }

    /// Whether datagrams from this source are acceptable now. A client may move to another port if
    /// the former one is silent, and back at once. It may also leave a source from which only
    /// guesses came, or nothing that the current control connection revealed.
    fn follow(&mut self, side: Side, placed: &Placed, now: Time) -> Result<(), Dropped> {
        let leg = self.leg(side);
        if side == Side::Agent {
            return if leg.may_come(placed, now) { Ok(()) } else { Err(Dropped::Unknown) };
        }
        let is_silent = |from| leg.is_silent(from, now) && !leg.is_out_of_sequence(placed);
        match self.sources.current() {
            Some(current) if !self.sources.has(placed.from) && !is_silent(current) => {
                let is_proved = leg.is_revealed(placed) && leg.only_guesses(current);
                if !is_proved && !self.is_first_new(placed) {
                    return Err(Dropped::Unknown);
                }
                self.sources.replace(Some(placed.from));
            }
            _ => self.sources.follow(placed.from),
        }
        Ok(())
    }

    /// Whether it is the first of the client's flows whose SPI only the current control connection
    /// revealed. An attacker who took over the session earlier does not know that SPI.
    fn is_first_new(&self, placed: &Placed) -> bool {
        let is_new = |spi| self.legs.iter().any(|leg| leg.is_new(spi));
        let mut flows = self.leg(Side::Client).flows().iter();
        matches!(placed.because, Because::Revealed)
            && is_new(placed.spi)
            && !flows.any(|flow| flow.spis().any(is_new))
    }

    /// Removes a flow that turned out to belong to another session.
    pub(super) fn forget_flow(&mut self, side: Side, id: FlowId) -> Vec<RouteChange> {
        self.changing(|session| {
            session.leg_mut(side).forget(id);
            session.expect_at_a_flow();
        })
        .1
    }

    /// Applies deadlines to flows and retained bytes. A silent flow keeps its route while there is a
    /// control connection. Returns whether more than flows' activity has changed, and the routes.
    pub(super) fn tick(
        &mut self,
        now: Time,
        timeouts: &Timeouts,
        counted: impl Fn(FlowId) -> u64,
    ) -> (bool, Vec<RouteChange>) {
        self.legs.iter_mut().for_each(|leg| leg.note(now, &counted));
        let idle = (!self.is_connected()).then_some(timeouts.udp_idle);
        let is_idle = |leg: &Leg| idle.is_some_and(|idle| leg.has_idle(now, idle));
        let ends = self.legs.iter().any(is_idle) || !self.is_at_a_flow();
        let mut changes = Vec::new();
        if ends {
            let ended = self.changing(|session| {
                if let Some(idle) = idle {
                    session.legs.iter_mut().for_each(|leg| leg.end_idle(now, idle));
                }
                session.expect_at_a_flow();
            });
            changes = ended.1;
        }
        let learned = self.learning.is_some_and(|until| now >= until);
        if learned {
            self.learning = None;
            self.legs.iter_mut().for_each(Leg::stop_learning);
        }
        (ends || learned, changes)
    }

    pub(super) fn view(&self) -> View<'_> {
        let state = match self.state {
            State::Announced(_) => "announced",
            State::Connected(_) => "connected",
            State::Waiting(_) => "waiting",
        };
        View { slot: self.slot, id: &self.id, state, client: self.client, agent: self.agent }
    }

    /// If all flows that determine the agent's destination have ended, the client's most recently
    /// active one does. Without any, nothing is sent: somebody else may have the client's address
    /// by then.
    fn expect_at_a_flow(&mut self) {
        if self.is_at_a_flow() {
            return;
        }
        let liveliest = self.leg(Side::Client).flows().iter().max_by_key(|flow| flow.active);
        self.sources.replace(liveliest.and_then(|flow| flow.from));
    }

    /// Whether a flow determines the agent's destination, or there is neither.
    fn is_at_a_flow(&self) -> bool {
        let (flows, current) = (self.leg(Side::Client).flows(), self.sources.current());
        flows.iter().any(|flow| flow.from == current) || flows.is_empty() && self.sources.is_empty()
    }

    /// Applies a change to the session, and returns its result and how the routes changed.
    fn changing<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> (T, Vec<RouteChange>) {
        let before: Vec<_> = self.routes().collect();
        let changed = change(self);
        let after: Vec<_> = self.routes().collect();
        let gone = before.iter().filter(|(key, _)| !after.iter().any(|(other, _)| other == key));
        let new = after.iter().filter(|route| !before.contains(route));
        let gone = gone.map(|(key, _)| RouteChange::Removed(*key));
        let changes = gone.chain(new.map(|(key, to)| RouteChange::Added(*key, *to))).collect();
        (changed, changes)
    }

    /// Destination of datagrams from that side.
    fn far(&self, side: Side) -> Option<Far> {
        match side {
            Side::Client => {
                Some(Far { to: self.agent, from: None, at: self.local.map(|local| local.at) })
            }
            Side::Agent => {
                let from = self.local.filter(|local| !local.is_usual).map(|local| local.at);
                Some(Far { to: self.sources.current()?, from, at: None })
            }
        }
    }

    pub(super) fn leg(&self, side: Side) -> &Leg {
        &self.legs[side as usize]
    }

    fn leg_mut(&mut self, side: Side) -> &mut Leg {
        &mut self.legs[side as usize]
    }
}
