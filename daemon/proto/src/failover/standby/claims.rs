//! What peers report. Claims never beat evidence: a gateway that has just heard the client keeps
//! the session, and answers with a higher term.

use super::{
    super::session::{Effect, Served},
    Claim, Fact, GatewayId, Output, Standby, Statement, Term, Why,
};
use crate::{SessionKey, Time};

impl Standby {
    /// Applies what a peer reports. Sessions without a grant are ignored until there is one.
    pub(super) fn learn(&mut self, from: GatewayId, statement: Statement, now: Time) {
        if let Some(key) = statement.key().filter(|key| !self.sessions.contains_key(key)) {
            if let Some(peer) = self.peers.get_mut(&from).filter(|_| !self.ended.has(key)) {
                peer.skip(key);
            }
            return;
        }
        match statement {
            Statement::Grant(grant) => {
                // The peer cannot do anything about a refusal, and the Connection Manager has
                // sent the grant itself.
                let _ = self.grant(grant, now);
            }
            Statement::Serving { key, term, is_silent } => {
                if self.claimed(key, Claim { term, gateway: from }, now)
                    && let Some(session) = self.sessions.get_mut(&key)
                {
                    session.is_silent = is_silent;
                }
            }
            Statement::Flows { key, term, flows } => {
                let claim = Some(Claim { term, gateway: from });
                if self.sessions.get(&key).is_some_and(|session| session.claim == claim) {
                    self.replace_flows(key, flows);
                }
            }
            Statement::Ended { key, term } => {
                if self.claimed(key, Claim { term, gateway: from }, now) {
                    self.bury(key);
                }
            }
            Statement::Known { key, claim, flows } => {
                let Some(session) = self.sessions.get_mut(&key) else { return };
                self.unrecorded.insert(key);
                if !session.learn(claim)
                    && let Some(peer) = self.peers.get_mut(&from)
                {
                    peer.start_over();
                }
                if self.served.get(&key).is_some_and(|served| served.is_heard(now)) {
                    self.raise(key);
                } else if session.flows.client.is_empty() && self.is_own(key) {
                    self.replace_flows(key, flows);
                }
            }
        }
    }

    /// Claims a session again if a peer knows a higher claim. Only for a session whose client was
    /// just heard.
    pub(super) fn raise(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.claim < session.highest {
            session.take(self.rules.id);
            self.unrecorded.insert(key);
            self.contradict(key);
        }
    }

    /// Whether the session is not served, and no peer has claimed it.
    fn is_own(&self, key: SessionKey) -> bool {
        let claim = self.sessions.get(&key).and_then(|session| session.claim);
        !self.served.contains_key(&key) && claim.is_none_or(|claim| claim.gateway == self.rules.id)
    }

    /// A peer claims the session. Returns whether it serves it.
    fn claimed(&mut self, key: SessionKey, by: Claim, now: Time) -> bool {
        let is_heard = self.served.get(&key).is_some_and(|served: &Served| served.is_heard(now));
        let Some(session) = self.sessions.get_mut(&key) else { return false };
        if by.term == Term::default() {
            return false;
        }
        let former = session.claim;
        let known = session.highest;
        let effect = session.claim(by, (self.rules.id, is_heard));
        let id = session.grant.id.clone();
        if (former, known) != (session.claim, session.highest) {
            self.unrecorded.insert(key);
        }
        match effect {
            Effect::Repeated => {}
            Effect::Accepted => {
                let former = former.filter(|former| former.gateway != by.gateway);
                let former = former.and_then(|former| self.peers.get(&former.gateway));
                if former.is_some_and(|former| !former.is_lost(now)) {
                    // The former server may not have heard the claim.
                    self.dirty.entry(key).or_default().known = true;
                }
                session.moved = Some((now, Why::Claimed));
                self.outputs.push(Output::Report(Fact::Moved(id, by, Why::Claimed)));
                if self.served.remove(&key).is_some() {
                    self.outputs.push(Output::HandOver(key));
                }
            }
            Effect::Lower => self.contradict(key),
            Effect::Kept => {
                session.moved = Some((now, Why::Kept));
                self.contradict(key);
            }
            Effect::TooHigh => {
                self.outputs.push(Output::Report(Fact::TermTooHigh(id, by)));
                if let Some(peer) = self.peers.get_mut(&by.gateway) {
                    peer.start_over();
                }
            }
        }
        matches!(effect, Effect::Repeated | Effect::Accepted)
    }

    /// The next batch reports what this gateway knows of the session.
    fn contradict(&mut self, key: SessionKey) {
        let is_served = self.served.contains_key(&key);
        let dirty = self.dirty.entry(key).or_default();
        dirty.serving |= is_served;
        dirty.known |= !is_served;
        // A peer that accepted another claim ignored the flows of this gateway since then.
        dirty.flows |= is_served;
    }
}
