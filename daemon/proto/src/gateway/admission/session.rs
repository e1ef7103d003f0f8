//! One session: what its control connection told, and the flows that were found to be its own.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{
    super::{Destination, FlowId, Key, RouteChange, Side, Slot, Spi},
    Admitted, Announcement, Arrival, Control, Dropped, Timeouts, View,
    leg::{Because, Far, Flow, Learned, Leg, Placed},
    sources::Sources,
    terms::{Identity, Seen},
};
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time};

/// A session from its announcement to its end.
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
    /// Whether its client was there at the last look.
    had_client: bool,
    /// Where the client's datagrams come from, and so the agent's go.
    sources: Sources,
    /// The own address that the client sees, where the system would answer from another one.
    seen_at: Option<IpAddr>,
    /// Until when control bytes are retained.
    learning: Option<Time>,
    legs: [Leg; 2],
}

/// Control bytes that came last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    side: Side,
    /// Where they begin among those that are retained, with as many before them as an SPI may have
    /// there.
    start: usize,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody came so far; until when somebody may.
    Announced(Time),
    /// It has this control connection.
    Connected(u64),
    /// It has none since then.
    Waiting(Time),
}

/// How long control bytes are retained at most.
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
            had_client: false,
            sources: Sources::default(),
            seen_at: None,
            learning: None,
            legs: Side::BOTH.map(|side| Leg::new(slot, side)),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::of(&self.id, self.key)
    }

    /// Begins a control connection. Flows go on, and new ones may come. To and from where the client
    /// was before, nothing goes any more.
    pub(super) fn connect(&mut self, number: u64, client: Arrival, now: Time) -> Vec<RouteChange> {
        self.changing(|session| {
            session.state = State::Connected(number);
            session.learning = Some(now + LEARNING);
            session.legs.iter_mut().for_each(Leg::connect);
            if session.client.replace(client.from) != Some(client.from) {
                session.leg_mut(Side::Client).uproot();
                session.sources.replace(None);
            }
            session.seen_at = client.at;
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

    /// Whether its client is there. An agent may go on sending to one that is gone, so of the flows
    /// only the client's count.
    pub(super) fn has_client(&self) -> bool {
        self.is_connected() || !self.leg(Side::Client).flows().is_empty()
    }

    /// Whether the client came or went since the last look.
    pub(super) fn client_changed(&mut self) -> bool {
        let has_client = self.has_client();
        std::mem::replace(&mut self.had_client, has_client) != has_client
    }

    pub(super) fn is_over(&self, now: Time, timeouts: &Timeouts) -> bool {
        match self.state {
            State::Announced(until) => now >= until,
            State::Connected(_) => false,
            State::Waiting(since) => now >= since + timeouts.resume && !self.has_client(),
        }
    }

    /// Takes control bytes that come from that side. Returns where they are.
    pub(super) fn read(&mut self, side: Side, bytes: &[u8]) -> Piece {
        let retain = self.learning.is_some();
        Piece { side, start: self.leg_mut(side).read(bytes, retain) }
    }

    /// Whether control bytes from that side can still tell something.
    pub(super) fn wants(&self, side: Side) -> bool {
        self.learning.is_some() || self.leg(side).understands()
    }

    /// Whether parsed chunks of either side name the SPI.
    pub(super) fn told(&self, spi: Spi) -> bool {
        self.legs.iter().any(|leg| leg.names(spi))
    }

    /// Whether the SPI stands in the control bytes of either side.
    pub(super) fn shows(&self, spi: Spi) -> bool {
        self.told(spi) || self.legs.iter().any(|leg| leg.retains(spi))
    }

    /// Whether parsed chunks name the SPI, or it stands in these control bytes.
    pub(super) fn shows_in(&self, piece: Piece, spi: Spi) -> bool {
        self.told(spi) || self.leg(piece.side).retains_behind(piece.start, spi)
    }

    /// Whether no new flow came from that side since the control connection.
    pub(super) fn lacks_flow(&self, side: Side) -> bool {
        self.leg(side).learned() == Learned::Nothing
    }

    pub(super) fn has_flow(&self, side: Side, spi: Spi) -> bool {
        self.leg(side).flows().iter().any(|flow| flow.has(spi))
    }

    /// Whether it has a flow with the SPI that is not a guess.
    pub(super) fn has_told_flow(&self, side: Side, spi: Spi) -> bool {
        self.leg(side).flows().iter().any(|flow| flow.has(spi) && !flow.is_guessed())
    }

    pub(super) fn has_flow_from(&self, side: Side, from: SocketAddr, spi: Spi) -> bool {
        self.leg(side).flows().iter().any(|flow| flow.is(from, spi))
    }

    pub(super) fn guesses(&self, side: Side) -> impl Iterator<Item = Flow> {
        self.leg(side).flows().iter().filter(|flow| flow.is_guessed()).copied()
    }

    /// Where datagrams from that side may come from.
    pub(super) fn address(&self, side: Side) -> Option<IpAddr> {
        match side {
            Side::Client => self.client,
            Side::Agent => Some(self.agent.ip()),
        }
    }

    /// Every route of the session.
    pub(super) fn routes(&self) -> impl Iterator<Item = (Key, Destination)> {
        let at = self.sources.current();
        Side::BOTH.into_iter().flat_map(move |side| self.leg(side).routes(at, self.far(side)))
    }

    /// Notes what went through the flows of that side until now.
    pub(super) fn look(&mut self, side: Side, now: Time, seen: impl Fn(FlowId) -> Seen) {
        self.leg_mut(side).look(now, seen);
    }

    /// Makes a flow the session's own, if its datagrams may come from there.
    pub(super) fn place(
        &mut self,
        side: Side,
        placed: Placed,
        now: Time,
    ) -> (Result<Destination, Dropped>, Vec<RouteChange>) {
        self.changing(|session| {
            session.follow(side, &placed, now)?;
            let flow = session.leg_mut(side).place(placed, now);
            if session.legs.iter().all(|leg| leg.learned() == Learned::Flow) {
                session.learning = None;
                session.legs.iter_mut().for_each(Leg::wipe);
            }
            let far = session.far(side).ok_or(Dropped::NoDestination)?;
            Ok(far.destination(flow))
        })
    }

    /// Whether datagrams may come from there now. A client is followed to another port when its
    /// former one is silent, and back at once; and away from where only guesses came from, or
    /// nothing that the present control connection told.
    fn follow(&mut self, side: Side, placed: &Placed, now: Time) -> Result<(), Dropped> {
        let leg = self.leg(side);
        if side == Side::Agent {
            return if leg.may_come(placed, now) { Ok(()) } else { Err(Dropped::Unknown) };
        }
        let is_silent = |from| leg.is_silent(from, now) && !leg.is_out_of_sequence(placed);
        match self.sources.current() {
            Some(current) if !self.sources.has(placed.from) && !is_silent(current) => {
                let is_proved = leg.is_told(placed) && leg.only_guesses(current);
                if !is_proved && !self.is_first_new(placed) {
                    return Err(Dropped::Unknown);
                }
                self.sources.replace(Some(placed.from));
            }
            _ => self.sources.follow(placed.from),
        }
        Ok(())
    }

    /// Whether it is the first of the client's flows whose SPI the present control connection told,
    /// and none before it. Whoever took the session earlier does not know that SPI.
    fn is_first_new(&self, placed: &Placed) -> bool {
        let is_new = |spi| self.legs.iter().any(|leg| leg.is_new(spi));
        let mut flows = self.leg(Side::Client).flows().iter();
        matches!(placed.because, Because::Told)
            && is_new(placed.spi)
            && !flows.any(|flow| flow.spis().any(is_new))
    }

    /// Gives up a flow that proved to be another session's.
    pub(super) fn forget_flow(&mut self, side: Side, id: FlowId) -> Vec<RouteChange> {
        self.changing(|session| {
            session.leg_mut(side).forget(id);
            session.expect_at_a_flow();
        })
        .1
    }

    /// Lets time pass for the flows and what is retained. A flow's route lives while the control
    /// connection does, however silent it is.
    pub(super) fn tick(
        &mut self,
        now: Time,
        timeouts: &Timeouts,
        counted: impl Fn(FlowId) -> u64,
    ) -> Vec<RouteChange> {
        let idle = (!self.is_connected()).then_some(timeouts.udp_idle);
        let ((), changes) = self.changing(|session| {
            session.legs.iter_mut().for_each(|leg| leg.tick(now, idle, &counted));
            session.expect_at_a_flow();
        });
        if self.learning.is_some_and(|until| now >= until) {
            self.learning = None;
            self.legs.iter_mut().for_each(Leg::stop_learning);
        }
        changes
    }

    pub(super) fn view(&self) -> View<'_> {
        let state = match self.state {
            State::Announced(_) => "announced",
            State::Connected(_) => "connected",
            State::Waiting(_) => "waiting",
        };
        View { slot: self.slot, id: &self.id, state, client: self.client, agent: self.agent }
    }

    /// Where all flows ended that the agent's datagrams follow, they follow the client's liveliest
    /// one. To a client without any nothing is sent: somebody else may be there.
    fn expect_at_a_flow(&mut self) {
        let flows = self.leg(Side::Client).flows();
        if flows.iter().any(|flow| flow.from == self.sources.current()) {
            return;
        }
        let liveliest = flows.iter().max_by_key(|flow| flow.active);
        self.sources.replace(liveliest.and_then(|flow| flow.from));
    }

    /// Changes the session, and returns how its routes changed by that.
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

    /// Where datagrams from that side go.
    fn far(&self, side: Side) -> Option<Far> {
        match side {
            Side::Client => Some(Far { to: self.agent, from: None }),
            Side::Agent => Some(Far { to: self.sources.current()?, from: self.seen_at }),
        }
    }

    pub(super) fn leg(&self, side: Side) -> &Leg {
        &self.legs[side as usize]
    }

    fn leg_mut(&mut self, side: Side) -> &mut Leg {
        &mut self.legs[side as usize]
    }
}
