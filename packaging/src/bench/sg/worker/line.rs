//! The UDP socket of a worker, and what is known about the sessions behind it. One socket serves
//! all sessions, whose addresses are all local.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::Context as _;
use nix::sys::socket::{setsockopt, sockopt};

use super::{
    super::{
        orders::{Counted, Run},
        statistics::percentile,
        wire::{Kind, Mark, PORT, Purpose, Relay, SIZE, Side, client_ip},
    },
    sink,
    turn::{self, Answer},
};

pub(super) struct Line {
    pub(super) socket: UdpSocket,
    pub(super) side: Side,
    state: Mutex<State>,
}

/// A relay, and the peers of its sessions.
struct Known {
    relay: Relay,
    /// Where datagrams of session 1, 2, … come from and go to.
    peers: Vec<Option<SocketAddrV4>>,
    /// Hellos and welcomes that arrived.
    greetings: u64,
}

/// What a worker has received.
pub(super) struct State {
    side: Side,
    relays: HashMap<u8, Known>,
    run: u16,
    received: u64,
    wrong: u64,
    delays: Vec<u32>,
    /// Answers of a TURN server, with the client's address.
    answers: Vec<(Ipv4Addr, Answer)>,
}

/// A received datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) from: SocketAddrV4,
    /// The address that it was sent to.
    pub(super) at: Ipv4Addr,
    pub(super) now: u64,
}

/// How datagrams of one session leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) session: u32,
    pub(super) from: Ipv4Addr,
    pub(super) to: SocketAddrV4,
    pub(super) prefix: &'static [u8],
}

/// Delays that are kept for percentiles.
const DELAYS: usize = 1 << 20;
/// Large, so that a busy sink does not look like a lossy relay.
const BUFFER: usize = 64 << 20;

impl Line {
    /// Binds the socket and starts to receive.
    pub(super) fn start(side: Side) -> anyhow::Result<Arc<Self>> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("binding UDP")?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true).context("setting up the socket")?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).context("setting up the socket")?;
        let line = Arc::new(Self { socket, side, state: Mutex::new(State::new(side)) });
        let receiving = Arc::clone(&line);
        thread::spawn(move || sink::receive(&receiving));
        Ok(line)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn know(&self, relay: Relay) {
        self.state().relays.insert(relay.id, Known::new(relay));
    }

    pub(super) fn relay(&self, id: u8) -> anyhow::Result<Relay> {
        let state = self.state();
        let known = state.relays.get(&id).context("the relay is unknown")?;
        Ok(known.relay.clone())
    }

    /// Whether the session has been welcomed by its agent.
    pub(super) fn is_welcome(&self, relay: u8, session: u32) -> bool {
        let state = self.state();
        state.relays.get(&relay).is_some_and(|known| known.peer(session).is_some())
    }

    /// Forgets that these sessions were welcomed.
    pub(super) fn forget(&self, relay: u8, sessions: RangeInclusive<u32>) {
        if let Some(known) = self.state().relays.get_mut(&relay) {
            let peers = known.peers.iter_mut().zip(1..);
            peers
                .filter(|(_, session)| sessions.contains(session))
                .for_each(|(peer, _)| *peer = None);
        }
    }

    pub(super) fn answers(&self) -> Vec<(Ipv4Addr, Answer)> {
        std::mem::take(&mut self.state().answers)
    }

    /// The routes of the sessions of a run.
    pub(super) fn routes(&self, run: &Run) -> anyhow::Result<Vec<Route>> {
        let state = self.state();
        let known = state.relays.get(&run.relay).context("the relay is unknown")?;
        let route = |session| known.route(self.side, session).context("a session is not set up");
        (run.first..run.first + run.sessions).map(route).collect()
    }

    /// Starts to count.
    pub(super) fn begin(&self, run: &Run) -> anyhow::Result<()> {
        let merged = setsockopt(&self.socket, sockopt::UdpGroSegment, &run.trains);
        merged.context("setting up the socket")?;
        let mut state = self.state();
        (state.run, state.received) = (run.number, 0);
        state.delays.clear();
        Ok(())
    }

    /// What has been received since the beginning.
    pub(super) fn end(&self, run: &Run) -> Counted {
        let mut state = self.state();
        let greetings = state.relays.get(&run.relay).map_or(0, |known| known.greetings);
        let wrong = std::mem::take(&mut state.wrong);
        state.delays.sort_unstable();
        Counted {
            sent: 0,
            received: state.received,
            wrong,
            p50: percentile(&state.delays, 50),
            p99: percentile(&state.delays, 99),
            greetings,
        }
    }
}

impl Known {
    fn new(relay: Relay) -> Self {
        Self { relay, peers: Vec::new(), greetings: 0 }
    }

    fn peer(&self, session: u32) -> Option<SocketAddrV4> {
        *self.peers.get(session.checked_sub(1)? as usize)?
    }

    fn learn(&mut self, session: u32, peer: SocketAddrV4) {
        let index = session as usize;
        if self.peers.len() < index {
            self.peers.resize(index, None);
        }
        self.peers[index - 1] = Some(peer);
    }

    /// Whether a session's datagram may come from there. A proxy whose session ended makes a new
    /// one, which the agent sees as another port.
    fn accepts(&mut self, side: Side, session: u32, from: SocketAddrV4) -> bool {
        let peer = self.peer(session);
        let is_new = self.relay.kind == Kind::Proxy && side == Side::Agents && peer.is_some();
        if is_new && !self.peers.contains(&Some(from)) {
            self.learn(session, from);
            return true;
        }
        peer == Some(from)
    }

    fn route(&self, side: Side, session: u32) -> Option<Route> {
        let from = own(&self.relay, side, session);
        let prefix = self.relay.prefix(side);
        Some(Route { session, from, to: self.peer(session)?, prefix })
    }
}

/// The address of a session on this side.
pub(super) fn own(relay: &Relay, side: Side, session: u32) -> Ipv4Addr {
    match side {
        Side::Clients => client_ip(session),
        Side::Agents => relay.agent(session),
    }
}

impl State {
    fn new(side: Side) -> Self {
        Self {
            side,
            relays: HashMap::new(),
            run: 0,
            received: 0,
            wrong: 0,
            delays: Vec::with_capacity(DELAYS),
            answers: Vec::new(),
        }
    }

    /// Counts a datagram. Returns the session to welcome, if it is a client's hello.
    pub(super) fn take(&mut self, received: Received<'_>) -> Option<(Mark, Route)> {
        if let Some(answer) = turn::answer(received.bytes).filter(|_| self.has_turn()) {
            self.answers.push((received.at, answer));
            return None;
        }
        let welcome = self.checked(received);
        if welcome.is_none() {
            self.wrong += 1;
        }
        welcome?
    }

    fn has_turn(&self) -> bool {
        self.relays.values().any(|known| known.relay.kind == Kind::Turn)
    }

    /// `None` if the datagram was delivered to a wrong place or damaged.
    fn checked(&mut self, received: Received<'_>) -> Option<Option<(Mark, Route)>> {
        let Received { bytes, from, at, now } = received;
        let split = bytes.len().checked_sub(SIZE)?;
        let (prefix, datagram) = bytes.split_at(split);
        let mark = Mark::read(datagram)?;
        let known = self.relays.get_mut(&mark.relay)?;
        let right = prefix == known.relay.prefix(self.side)
            && mark.session > 0
            && at == own(&known.relay, self.side, mark.session);
        match (mark.purpose, self.side) {
            (Purpose::Hello, Side::Agents) if right => {
                known.learn(mark.session, from);
                known.greetings += 1;
                return Some(Some((mark, known.route(self.side, mark.session)?)));
            }
            (Purpose::Welcome, Side::Clients) if right => {
                (from == known.relay.peer_of_client(mark.session)).then_some(())?;
                known.learn(mark.session, from);
                known.greetings += 1;
            }
            (Purpose::Data, side) if right && known.accepts(side, mark.session, from) => {
                // A datagram of an earlier run is late, and already counted as lost.
                if mark.run == self.run {
                    self.received += 1;
                    if self.delays.len() < DELAYS {
                        let delay = now.saturating_sub(mark.sent);
                        self.delays.push(u32::try_from(delay).unwrap_or(u32::MAX));
                    }
                }
            }
            _ => return None,
        }
        Some(None)
    }
}

#[cfg(test)]
mod tests;
