//! One session as the gateways know it.

use std::net::SocketAddr;

use super::{Claim, Flows, GatewayId, Grant, SILENCE, SavedState, Term, Why};
use crate::Time;

/// A granted session, and what is known of the gateway that serves it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) grant: Grant,
    /// The highest accepted claim.
    pub(super) claim: Option<Claim>,
    /// The highest claim that any gateway has reported. Claims are accepted only from the gateway
    /// that makes them.
    pub(super) highest: Option<Claim>,
    /// The highest term that is accepted.
    ceiling: Term,
    /// Whether the serving gateway reports that the client is silent.
    pub(super) is_silent: bool,
    /// Whether the gateway of the claim has stopped claiming the session, or has restarted.
    pub(super) is_vacant: bool,
    pub(super) flows: Flows,
    /// Whether a record of the grant was emitted.
    pub(super) is_recorded: bool,
    /// When and why it last moved.
    pub(super) moved: Option<(Time, Why)>,
}

/// The state of a session that this gateway serves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Served {
    /// When the client was last heard.
    pub(super) heard: Option<Time>,
    /// Whether the peers know that the client is silent.
    pub(super) said_silent: bool,
    /// Set if the session was taken over and has had no control connection since.
    pub(super) inherited: Option<Inherited>,
}

/// The sources of a client's datagrams while there is no control connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inherited {
    /// The latest accepted source: the destination of the agent's datagrams.
    pub(super) current: SocketAddr,
    /// When a datagram from `current` arrived last.
    pub(super) active: Time,
    /// When a datagram from a replicated address arrived last.
    pub(super) home_active: Time,
}

/// The effect of a peer's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The peer serves the session, as known before.
    Repeated,
    /// The peer serves the session.
    Accepted,
    /// Another claim is higher.
    Lower,
    /// This gateway has just heard the client, and claims the session with a higher term.
    Kept,
    /// The term is more than 1,000 above the known one.
    TooHigh,
}

impl Session {
    pub(super) fn new(grant: Grant) -> Self {
        Self {
            grant,
            claim: None,
            highest: None,
            ceiling: Term::default().limit(),
            is_silent: false,
            is_vacant: false,
            flows: Flows::default(),
            is_recorded: false,
            moved: None,
        }
    }

    /// This gateway claims the session.
    pub(super) fn take(&mut self, gateway: GatewayId) {
        let claim = Claim { term: self.term().next(), gateway };
        self.learn(claim);
        self.claim = Some(claim);
        (self.is_silent, self.is_vacant) = (false, false);
    }

    /// A peer claims the session. `is_heard` is whether this gateway has just heard the client.
    pub(super) fn claim(&mut self, by: Claim, (me, is_heard): (GatewayId, bool)) -> Effect {
        if !self.learn(by) {
            return Effect::TooHigh;
        }
        if self.claim == Some(by) {
            self.is_vacant = false;
            return Effect::Repeated;
        }
        if self.claim > Some(by) {
            return Effect::Lower;
        }
        if is_heard {
            self.take(me);
            return Effect::Kept;
        }
        self.claim = Some(by);
        (self.is_silent, self.is_vacant) = (false, false);
        Effect::Accepted
    }

    /// The state to be persisted.
    pub(super) fn saved(&self) -> SavedState {
        let Self { claim, highest, flows, .. } = self;
        SavedState { claim: *claim, highest: *highest, flows: flows.clone() }
    }

    /// Restores the state of before a restart.
    pub(super) fn restore(&mut self, claim: Option<Claim>, highest: Option<Claim>) {
        self.highest = highest.max(claim);
        self.ceiling = self.term().limit();
        self.claim = claim;
        self.is_vacant = true;
    }

    /// A peer knows this claim. Returns false if its term is too high. The peer may repeat it: each
    /// time, the limit is raised by 1,000, so that honest gateways whose terms have diverged agree
    /// after some seconds.
    pub(super) fn learn(&mut self, claim: Claim) -> bool {
        if claim.term > self.ceiling {
            self.ceiling = self.ceiling.limit();
            return false;
        }
        self.highest = self.highest.max(Some(claim));
        self.ceiling = self.ceiling.max(self.term().limit());
        true
    }

    /// The highest known term.
    fn term(&self) -> Term {
        self.highest.map_or(Term::default(), |claim| claim.term)
    }
}

impl Served {
    /// Whether the client was heard within [`SILENCE`].
    pub(super) fn is_heard(&self, now: Time) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < SILENCE)
    }
}
