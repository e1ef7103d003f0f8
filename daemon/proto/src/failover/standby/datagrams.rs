//! Datagrams without a route: the takeover at a shared address, and the sources of a client that
//! has no control connection. Nothing is guessed.

use std::net::SocketAddr;

use super::{
    super::{
        Dropped, Flows, SILENCE, Verdict,
        index::Found,
        session::{Inherited, Served},
    },
    Output, Standby, Why,
};
use crate::{
    SessionKey, Time,
    gateway::{Side, Spi, SpiCandidates},
};

impl Standby {
    /// Decides which session a datagram belongs to, and whether this gateway takes the session
    /// over. `at` is the local address that it came to.
    pub fn datagram(
        &mut self,
        side: Side,
        (from, at): (SocketAddr, SocketAddr),
        candidates: SpiCandidates,
        now: Time,
    ) -> Verdict {
        // A sequence number must not be mistaken for an SPI.
        let second = candidates.second.filter(|spi| !spi.is_reserved());
        let spis = [Some(candidates.first), second].into_iter().flatten();
        for spi in spis {
            let key = match self.index.find(side, from.ip(), spi) {
                Found::One(key) => key,
                Found::Several => return Verdict::Drop(Dropped::Ambiguous),
                Found::Nothing => continue,
            };
            let Some(session) = self.sessions.get(&key) else { continue };
            return match side {
                Side::Client if session.flows.has_client(from, spi) => {
                    self.judge_client(key, (from, at), spi, now)
                }
                Side::Client => self.judge_other_source(key, from, spi, now),
                Side::Agent => {
                    let is_known = session.flows.has_agent(from, spi);
                    self.judge_agent(key, spi, is_known)
                }
            };
        }
        Verdict::Drop(Dropped::Unknown)
    }

    /// A datagram of a replicated flow.
    fn judge_client(
        &mut self,
        key: SessionKey,
        (from, at): (SocketAddr, SocketAddr),
        spi: Spi,
        now: Time,
    ) -> Verdict {
        let Some(session) = self.sessions.get(&key) else {
            return Verdict::Drop(Dropped::Unknown);
        };
        let agent = session.grant.agent;
        match self.served.get(&key) {
            Some(Served { inherited: None, .. }) => return Verdict::Admitted(key, Some(spi)),
            Some(_) => {}
            None => {
                let mut flows = session.flows.client.iter();
                let is_there = flows.any(|flow| (flow.from, flow.spi, flow.to) == (from, spi, at));
                if !is_there || !self.may_take_over(key, at, now) {
                    return Verdict::Drop(Dropped::Elsewhere);
                }
                let grant = session.grant.clone();
                let flows = session.flows.clone();
                let inherited = Inherited { current: from, active: now, home_active: now };
                let served = Served { inherited: Some(inherited), ..Served::default() };
                self.serve(key, served, (now, Why::Datagram));
                self.outputs.push(Output::TakeOver(grant, flows));
            }
        }
        self.heard(key, Some(from), now);
        Verdict::Relay(key, spi, agent)
    }

    /// Whether a datagram at this address is enough to take the session over: its gateway is lost,
    /// or reports that the client is silent.
    fn may_take_over(&self, key: SessionKey, at: SocketAddr, now: Time) -> bool {
        let Some(session) = self.sessions.get(&key) else { return false };
        if session.grant.expires <= now {
            return false;
        }
        let Some(claim) = session.claim.filter(|claim| claim.gateway != self.rules.id) else {
            // This gateway served the session before it restarted.
            return true;
        };
        let is_lost = self.peers.get(&claim.gateway).is_none_or(|peer| peer.is_lost(now));
        let is_shared = self.rules.shared.contains(&at.ip());
        is_shared && (is_lost || session.is_silent || session.is_vacant)
    }

    /// A datagram with a replicated SPI from another port of the client's address. The client may
    /// move there when its former source has been silent, and back at once.
    fn judge_other_source(
        &mut self,
        key: SessionKey,
        from: SocketAddr,
        spi: Spi,
        now: Time,
    ) -> Verdict {
        let Some(session) = self.sessions.get(&key) else {
            return Verdict::Drop(Dropped::Unknown);
        };
        let agent = session.grant.agent;
        match self.served.get(&key) {
            None => return Verdict::Drop(Dropped::Elsewhere),
            Some(Served { inherited: None, .. }) => return Verdict::Admitted(key, None),
            Some(Served { inherited: Some(inherited), .. }) => {
                if !inherited.may_move(from, now) {
                    return Verdict::Drop(Dropped::OtherSource);
                }
            }
        }
        self.heard(key, Some(from), now);
        Verdict::Relay(key, spi, agent)
    }

    /// A datagram of the agent, for the source of the client's latest datagram. `is_known` is
    /// whether it comes from a replicated address.
    fn judge_agent(&self, key: SessionKey, spi: Spi, is_known: bool) -> Verdict {
        match self.served.get(&key) {
            None => Verdict::Drop(Dropped::Elsewhere),
            Some(Served { inherited: None, .. }) => Verdict::Admitted(key, is_known.then_some(spi)),
            Some(_) if !is_known => Verdict::Drop(Dropped::OtherSource),
            Some(Served { inherited: Some(inherited), .. }) => {
                Verdict::Relay(key, spi, inherited.current)
            }
        }
    }
}

impl Inherited {
    fn may_move(&self, from: SocketAddr, now: Time) -> bool {
        let is_home_silent = now.since(self.home_active) >= SILENCE;
        let is_silent = now.since(self.active) >= SILENCE;
        is_home_silent && (from == self.current || is_silent)
    }

    /// A datagram from this source was relayed.
    pub(super) fn hear(&mut self, from: SocketAddr, replicated: &Flows, now: Time) {
        (self.current, self.active) = (from, now);
        if replicated.client.iter().any(|flow| flow.from == from) {
            self.home_active = now;
        }
    }
}
