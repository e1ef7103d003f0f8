//! What must always hold.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use super::world::{Client, MAX_REMEMBERED, World, shared};
use crate::{
    SessionKey,
    failover::{ClientFlow, Grant},
};

/// Rounds of 250 ms after which there must be one server. The terms of two gateways may differ by
/// many thousands, and come closer by 1,000 a second.
const ROUNDS: usize = 2000;

impl World {
    /// Checks the invariants that hold after every step.
    pub(super) fn check(&mut self) {
        for at in 0..self.nodes.len() {
            self.no_session_from_nothing(at);
            self.no_flow_to_an_unannounced_address(at);
            self.no_ended_session_revived(at);
            self.nothing_is_evicted(at);
        }
        let keys: Vec<_> = self.issued.keys().copied().collect();
        if keys.iter().any(|key| self.servers(*key) > 1) {
            self.seen.note("two servers");
        }
    }

    /// A gateway knows only sessions that the Connection Manager granted. It serves those that were
    /// announced to it, or whose client came to it. `Admission` has the same ones.
    fn no_session_from_nothing(&self, at: usize) {
        let node = &self.nodes[at];
        for view in node.standby.views() {
            let (grant, _) = &self.issued[&view.grant.key];
            assert_eq!(grant, view.grant, "seed {}: no session from nothing", self.seed);
            let key = grant.key;
            let is_caused = !view.is_served || node.caused.contains(&key);
            assert!(is_caused, "seed {}: no session from nothing: {key} at {at}", self.seed);
        }
        let served = node.standby.views().filter(|view| view.is_served);
        let served: BTreeSet<_> = served.map(|view| view.grant.key).collect();
        let admitted: BTreeSet<_> = node.admitted.keys().copied().collect();
        assert_eq!(served, admitted, "seed {}: the outputs add up", self.seed);
    }

    /// Each session has room for its end.
    fn nothing_is_evicted(&self, at: usize) {
        let standby = &self.nodes[at].standby;
        let remembered = standby.views().count() + standby.tombstones();
        assert!(remembered <= MAX_REMEMBERED, "seed {}: nothing is evicted", self.seed);
    }

    /// All flows of a session are from or to the granted agent's host.
    fn no_flow_to_an_unannounced_address(&self, at: usize) {
        for view in self.nodes[at].standby.views() {
            let (grant, _) = &self.issued[&view.grant.key];
            let is_announced = view.flows.agent.iter().all(|it| it.from.ip() == grant.agent.ip());
            assert!(is_announced, "seed {}: no flow to an unannounced address", self.seed);
        }
    }

    /// A session that ended or was superseded does not come back.
    fn no_ended_session_revived(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let keys: BTreeSet<_> = node.standby.views().map(|view| view.grant.key).collect();
        node.dead.extend(node.keys.difference(&keys));
        let revived: Vec<_> = node.dead.intersection(&keys).collect();
        assert!(
            revived.is_empty(),
            "seed {}: no ended session revived: {revived:?} at {at}",
            self.seed
        );
        node.keys = keys;
    }

    /// A peer's frame arrived while these sessions' clients were heard here. Only a later grant may
    /// end such a session.
    pub(super) fn check_kept(&self, at: usize, heard: &[SessionKey]) {
        for key in heard {
            let (grant, _) = &self.issued[key];
            let is_later = |other: &Grant| other.tag == grant.tag && other.issued > grant.issued;
            let is_superseded = self.issued.values().any(|(other, _)| is_later(other));
            let is_kept = self.nodes[at].serves(*key) || is_superseded;
            assert!(is_kept, "no claim beats evidence: {key} at {at}");
        }
    }

    /// A datagram of a client was relayed to this session's agent.
    pub(super) fn check_relayed(&self, client: usize, (key, to): (SessionKey, SocketAddr)) {
        let (grant, owner) = &self.issued[&key];
        assert_eq!(*owner, client, "no datagram to a neighbour: from client {client}");
        assert_eq!(to, grant.agent, "no flow to an unannounced address");
    }

    /// A datagram of the client's agent was relayed to this address.
    pub(super) fn check_answered(&self, client: usize, (key, to): (SessionKey, SocketAddr)) {
        let (_, owner) = &self.issued[&key];
        assert_eq!(*owner, client, "no datagram to a neighbour: from the agent of {client}");
        let is_own = self.clients[client].sources.contains(&to);
        assert!(is_own, "no datagram to a neighbour: {to} is not client {client}");
    }

    fn servers(&self, key: SessionKey) -> usize {
        self.nodes.iter().filter(|node| node.is_up && node.serves(key)).count()
    }

    /// Once the network is whole and the compromised gateway silent, there is one server of each
    /// session, and it stays.
    pub(super) fn settle(&mut self) {
        self.rogue = None;
        self.split.clear();
        self.holders.truncate(1);
        for at in 0..self.nodes.len() {
            self.nodes[at].set_clock(self.global);
            if !self.nodes[at].is_up {
                self.restart(at, true);
            }
        }
        let mut settled = 0;
        for round in 0..ROUNDS {
            self.round();
            let is_one = self.has_one_server();
            settled = if is_one { settled + 1 } else { 0 };
            if round > 16 && settled > 8 {
                return self.no_session_lost();
            }
        }
        panic!("seed {}: one server in the end: {:#?}", self.seed, self.opinions());
    }

    /// Which gateway serves each session, according to each gateway.
    fn opinions(&self) -> Vec<String> {
        let opinion = |key: &SessionKey| {
            let views = self.nodes.iter().map(|node| {
                let view = node.standby.view(*key)?;
                Some((view.claim.map(|claim| (claim.term.0, claim.gateway.0)), view.is_served))
            });
            format!("{key}: {:?}", views.collect::<Vec<_>>())
        };
        self.issued.keys().map(opinion).collect()
    }

    /// The gateway with the shared address is lost. Another one relays the next datagrams of all
    /// clients whose flows it knows.
    fn no_session_lost(&mut self) {
        let at = self.holders[0];
        let next = (at + 1) % self.nodes.len();
        let clients: Vec<_> =
            (0..self.clients.len()).filter(|it| self.should_survive(*it, (at, next))).collect();
        self.nodes[at].is_up = false;
        self.holders = vec![next];
        for client in clients {
            for _ in 0..5 {
                self.wait(Duration::from_millis(250));
                self.tick(next);
            }
            self.client_sends(client);
            let key = self.clients[client].key.unwrap();
            let is_served = self.nodes[next].serves(key);
            assert!(is_served, "seed {}: no session lost: {key} at {next}", self.seed);
            self.seen.note("survived");
        }
    }

    /// Whether the client is heard at this gateway, and the next one has the grant. Then it must
    /// know the flows. Clients 0 and 1 may have equal SPIs, and a compromised gateway may have
    /// reported anything.
    fn should_survive(&self, client: usize, (at, next): (usize, usize)) -> bool {
        let Client { key, source, spi, to, .. } = self.clients[client];
        let Some(key) = key.filter(|_| client >= 2 && to == shared() && !self.had_rogue) else {
            return false;
        };
        let views = [at, next].map(|at| self.nodes[at].standby.view(key));
        let [Some(here), Some(there)] = views else { return false };
        let is_expired = there.grant.expires <= self.nodes[next].latest;
        if !here.is_served || here.is_silent || is_expired {
            return false;
        }
        assert_eq!(here.flows, there.flows, "seed {}: no session lost", self.seed);
        here.flows.client.contains(&ClientFlow { from: source, spi, to })
    }

    fn round(&mut self) {
        self.wait(Duration::from_millis(250));
        for at in 0..self.nodes.len() {
            self.tick(at);
        }
        for packet in std::mem::take(&mut self.network) {
            self.deliver(packet);
        }
        if !self.seed.is_multiple_of(3) {
            (0..self.clients.len()).for_each(|client| self.client_sends(client));
        }
        self.check();
    }

    /// At most one gateway serves each session. If its client is heard there, all others that have
    /// the session know.
    fn has_one_server(&self) -> bool {
        self.issued.keys().all(|key| {
            let serving = self.nodes.iter().filter(|node| node.serves(*key));
            let serving: Vec<_> = serving.map(|it| it.standby.view(*key).unwrap()).collect();
            let known = self.nodes.iter().filter_map(|node| node.standby.view(*key));
            match serving.as_slice() {
                [] => true,
                [one] => one.is_silent || known.map(|view| view.claim).all(|it| it == one.claim),
                _ => false,
            }
        })
    }
}
