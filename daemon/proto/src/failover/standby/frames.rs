//! Frames to and from peers: numbered batches, heartbeats and snapshots.

use super::{
    super::{BootId, Flows, Position, peer::Arrival},
    Content, Dirty, Fact, Frame, GatewayId, Output, Recipient, Standby, Statement,
};
use crate::{SessionKey, Time};

impl Standby {
    /// A frame arrived from a peer. Frames of unknown gateways are ignored.
    pub fn receive(&mut self, from: GatewayId, frame: Frame, now: Time) {
        let Frame { boot, sequence, content } = frame;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if peer.hear(boot, now) {
            self.vacate(from);
            self.outputs.push(Output::Report(Fact::Restarted(from)));
        }
        let Some(peer) = self.peers.get_mut(&from) else { return };
        match content {
            Content::Heartbeat(is_ready) => {
                peer.is_ready = is_ready;
                // The peer has sent the batch.
                if sequence > 0 && peer.arrival(sequence) == Arrival::Next {
                    peer.miss();
                }
            }
            Content::Batch(statements) => {
                if peer.arrival(sequence) == Arrival::Next {
                    peer.apply(sequence);
                    self.learn_all(from, statements, now);
                }
            }
            Content::Resync { number, received } => {
                if peer.may_answer(now) {
                    self.send_snapshot(from, (boot, number), received);
                }
            }
            Content::Snapshot { to, number, statements } => {
                if to == self.boot && peer.accept_snapshot(number, sequence) {
                    peer.apply(sequence);
                    self.vacate(from);
                    self.learn_all(from, statements, now);
                }
            }
        }
    }

    fn learn_all(&mut self, from: GatewayId, statements: Vec<Statement>, now: Time) {
        for statement in statements {
            self.learn(from, statement, now);
        }
    }

    /// Until the peer claims its sessions again, it serves none.
    fn vacate(&mut self, peer: GatewayId) {
        for session in self.sessions.values_mut() {
            session.is_vacant |= session.claim.is_some_and(|claim| claim.gateway == peer);
        }
    }

    /// Sends what has changed since the last batch.
    pub(super) fn flush(&mut self) {
        let mut statements = std::mem::take(&mut self.pending);
        for (key, dirty) in std::mem::take(&mut self.dirty) {
            statements.extend(self.statements(key, dirty));
        }
        if !statements.is_empty() {
            self.sequence += 1;
            self.send(Recipient::All, Content::Batch(statements));
        }
    }

    fn statements(&self, key: SessionKey, dirty: Dirty) -> Vec<Statement> {
        let Some(session) = self.sessions.get(&key) else { return Vec::new() };
        let mut statements = Vec::new();
        match (self.served.get(&key), session.claim) {
            (Some(served), Some(claim)) => {
                let term = claim.term;
                let is_silent = served.said_silent;
                let serving = Statement::Serving { key, term, is_silent };
                statements.extend(dirty.serving.then_some(serving));
                let flows = || Statement::Flows { key, term, flows: session.flows.clone() };
                statements.extend(dirty.flows.then(flows));
            }
            _ => {
                let claim = session.highest.filter(|_| dirty.known);
                let known = |claim| Statement::Known { key, claim, flows: Flows::default() };
                statements.extend(claim.map(known));
            }
        }
        statements
    }

    pub(super) fn request_snapshots(&mut self, now: Time) {
        let mut requests = Vec::new();
        for (id, peer) in &mut self.peers {
            let received = peer.applied;
            requests.extend(peer.request(now).map(|number| (*id, number, received)));
        }
        for (id, number, received) in requests {
            self.send(Recipient::Peer(id), Content::Resync { number, received });
        }
    }

    fn send_snapshot(
        &mut self,
        to: GatewayId,
        (boot, number): (BootId, u64),
        received: Option<Position>,
    ) {
        let received = received.filter(|received| received.boot == self.boot);
        let mut statements = Vec::new();
        for (key, session) in &self.sessions {
            statements.push(Statement::Grant(session.grant.clone()));
            let everything = Dirty { serving: true, flows: true, known: false };
            statements.extend(self.statements(*key, everything));
            if let Some(claim) = session.highest.filter(|_| !self.served.contains_key(key)) {
                let is_of_peer = session.claim.is_some_and(|claim| claim.gateway == to);
                let flows = if is_of_peer { session.flows.clone() } else { Flows::default() };
                statements.push(Statement::Known { key: *key, claim, flows });
            }
        }
        let ended = self.ended.own_since(received);
        statements.extend(ended.map(|(key, term)| Statement::Ended { key, term }));
        self.send(Recipient::Peer(to), Content::Snapshot { to: boot, number, statements });
    }
}
