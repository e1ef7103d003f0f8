//! One random step of a history.

use std::time::Duration;

use super::world::{CLIENTS, Client, GATEWAYS, Packet, Payload, World, own_address, shared, words};
use crate::{
    SessionKey, Time,
    failover::{AgentFlow, ClientFlow, Flows, GatewayId, Verdict},
    gateway::{Side, Spi},
};

impl World {
    pub(super) fn step(&mut self) {
        let (client, at) = (self.random.below(CLIENTS), self.random.below(3));
        match self.random.below(100) {
            0..3 => self.allocate(client, at),
            3..7 => self.connect(client, at),
            7..24 => self.client_sends(client),
            24..32 => self.agent_sends(client, at),
            32..40 => self.work(),
            40..58 => self.deliver_any(),
            58..72 => self.tick(at),
            72..82 => self.pass(),
            82..84 => self.rebind(client),
            84..86 => self.end(client, at),
            86..88 => self.fail(at),
            88..90 => self.divide(),
            90..92 => self.holders = vec![at],
            92 => self.jump(at),
            _ => self.rogue_acts(),
        }
        // The queue must not grow faster than it is delivered.
        if self.network.len() > 60 {
            let lost = self.random.below(self.network.len());
            self.network.swap_remove(lost);
        }
    }

    /// The Connection Manager announces a session to one gateway, and grants it to all others.
    fn allocate(&mut self, client: usize, at: usize) {
        let same_tag = self.random.percent(30);
        if self.issued.len() > 40 {
            return;
        }
        let former = self.clients[client].key;
        let had = former.filter(|former| self.nodes[at].admitted.contains_key(former));
        let grant = self.issue(client, same_tag);
        for id in GATEWAYS.into_iter().filter(|id| *id != self.nodes[at].id) {
            let payload = Payload::Grant(Box::new(grant.clone()));
            self.network.push(Packet { from: id, to: id, payload });
        }
        if self.nodes[at].is_up {
            let now = self.nodes[at].now(self.global);
            let key = grant.key;
            if self.nodes[at].standby.announced(grant, now).is_ok() {
                self.seen.note("announced");
                self.nodes[at].admitted.insert(key, false);
                self.nodes[at].caused.insert(key);
            }
            self.perform(at);
            if had.is_some_and(|had| !self.nodes[at].admitted.contains_key(&had)) {
                self.seen.note("superseded");
            }
        }
    }

    /// The client opens a control connection.
    fn connect(&mut self, client: usize, at: usize) {
        let is_at_holder = self.random.percent(60);
        let at = if is_at_holder { self.holders[0] } else { at };
        let Some(key) = self.clients[client].key else { return };
        if !self.nodes[at].is_up {
            return;
        }
        let now = self.nodes[at].now(self.global);
        let was_served = self.nodes[at].serves(key);
        let tag = self.issued[&key].0.tag;
        let Some(grant) = self.nodes[at].standby.take_over(&[tag], now) else { return };
        self.nodes[at].caused.insert(grant.key);
        self.perform(at);
        self.nodes[at].admitted.insert(grant.key, true);
        self.nodes[at].heard.insert(grant.key, now);
        if !was_served {
            self.seen.note("taken over by tag");
        }
        let is_shared = self.random.percent(90) && self.holders.contains(&at);
        self.clients[client].to = if is_shared { shared() } else { own_address(at) };
    }

    pub(super) fn client_sends(&mut self, client: usize) {
        let Client { key, source, spi, to, .. } = self.clients[client];
        let (Some(key), Some(at)) = (key, self.node_at(to)) else { return };
        // A flow that is not replicated cannot be distinguished from a neighbour's with the same SPI, or
        // from one that a compromised peer invented.
        let now = self.nodes[at].now(self.global);
        let view = self.nodes[at].standby.view(key);
        let is_known = view.is_some_and(|view| view.flows.client.iter().any(|it| it.spi == spi));
        let is_admitted = self.nodes[at].admitted.get(&key) == Some(&true);
        if !is_known && is_admitted {
            // Its control connection has revealed the SPI, which is certain.
            self.admission_relays(at, (client, key), now);
            return;
        }
        if !is_known && (self.had_rogue || client < 2) {
            return;
        }
        let claim = view.and_then(|view| view.claim);
        let was_served = self.nodes[at].serves(key);
        let verdict = self.nodes[at].standby.datagram(Side::Client, (source, to), words(spi), now);
        if let Verdict::Relay(found, _, agent) = verdict {
            self.check_relayed(client, (found, agent));
            self.nodes[at].caused.insert(found);
            self.nodes[at].heard.insert(found, now);
            let is_own = claim.is_none_or(|claim| claim.gateway == self.nodes[at].id);
            match (was_served, is_own) {
                (false, true) => self.seen.note("taken over after a restart"),
                (false, false) => self.seen.note("taken over by datagram"),
                _ => {}
            }
            let view = self.nodes[at].standby.view(found).unwrap();
            if !view.flows.client.iter().any(|flow| flow.from == source) {
                self.seen.note("moved to another port");
            }
        }
        self.perform(at);
        if matches!(verdict, Verdict::Admitted(..) | Verdict::Drop(_)) && is_admitted {
            self.admission_relays(at, (client, key), now);
        }
    }

    /// The session has a control connection: `Admission` knows its flows.
    fn admission_relays(&mut self, at: usize, (client, key): (usize, SessionKey), now: Time) {
        let Client { source, spi, to, agent, .. } = self.clients[client];
        let client = vec![ClientFlow { from: source, spi, to }];
        let agent = vec![AgentFlow { from: agent, spi: spi.swapped() }];
        self.nodes[at].heard.insert(key, now);
        let standby = &mut self.nodes[at].standby;
        standby.heard(key, Some(source), now);
        standby.flows(key, Flows { client, agent });
    }

    fn agent_sends(&mut self, client: usize, at: usize) {
        let Client { spi, agent, .. } = self.clients[client];
        if self.clients[client].key.is_none() || !self.nodes[at].is_up {
            return;
        }
        let now = self.nodes[at].now(self.global);
        let spi: Spi = spi.swapped();
        let to = own_address(at);
        let verdict = self.nodes[at].standby.datagram(Side::Agent, (agent, to), words(spi), now);
        if let Verdict::Relay(found, _, to) = verdict {
            self.check_answered(client, (found, to));
            self.seen.note("to the client");
        }
        self.perform(at);
    }

    /// Delivers, loses or repeats any frame.
    fn deliver_any(&mut self) {
        for _ in 0..3 {
            if self.network.is_empty() {
                return;
            }
            // Mostly the oldest: a connection keeps the order.
            let at =
                if self.random.percent(70) { 0 } else { self.random.below(self.network.len()) };
            let packet = self.network[at].clone();
            match self.random.below(20) {
                0 => {
                    self.network.remove(at);
                }
                1 => self.deliver(packet),
                _ => {
                    self.network.remove(at);
                    self.deliver(packet);
                }
            }
        }
    }

    fn pass(&mut self) {
        let millis = self.random.pick(&[10, 100, 100, 300, 600, 1100]).unwrap();
        self.wait(Duration::from_millis(millis));
        for at in 0..self.nodes.len() {
            if self.random.percent(80) {
                self.tick(at);
            }
        }
    }

    /// For a while, everything works as far as the split and crashed gateways allow.
    fn work(&mut self) {
        let millis = self.random.pick(&[100, 200, 300]).unwrap();
        for _ in 0..1 + self.random.below(6) {
            self.wait(Duration::from_millis(millis));
            (0..self.nodes.len()).for_each(|at| self.tick(at));
            for packet in std::mem::take(&mut self.network) {
                self.deliver(packet);
            }
            for client in 0..CLIENTS {
                self.client_sends(client);
                let at = self.random.below(3);
                self.agent_sends(client, at);
            }
        }
    }

    /// The NAT gives the client another port. Clients 2 and 3 may get each other's former one.
    fn rebind(&mut self, client: usize) {
        let port = u16::try_from(self.random.below(3)).unwrap();
        let owner = if client >= 2 && self.random.percent(50) { 5 - client } else { client };
        let source = Client::source(owner, port);
        if self.clients.iter().any(|other| other.source == source) {
            return;
        }
        self.clients[client].source = source;
        self.clients[client].sources.push(source);
    }

    fn end(&mut self, client: usize, at: usize) {
        let Some(key) = self.clients[client].key else { return };
        if self.nodes[at].is_up && self.nodes[at].serves(key) {
            self.nodes[at].standby.ended(key);
            self.nodes[at].admitted.remove(&key);
            self.nodes[at].caused.remove(&key);
            self.seen.note("ended");
            self.perform(at);
        }
    }

    /// A gateway crashes or starts.
    fn fail(&mut self, at: usize) {
        let others = self.nodes.iter().filter(|node| node.is_up).count();
        if !self.nodes[at].is_up || self.random.percent(40) {
            let has_journal = self.random.percent(60);
            self.restart(at, has_journal);
        } else if others > 1 {
            self.nodes[at].is_up = false;
            if self.holders == [at] {
                self.holders = vec![(at + 1) % 3];
            }
        }
    }

    /// The network splits, and both sides may have the shared address; or it is whole again.
    fn divide(&mut self) {
        if self.split.is_empty() {
            let alone = self.random.below(3);
            let id = GATEWAYS[alone];
            let others = GATEWAYS.into_iter().filter(|other| *other != id);
            self.split = others.map(|other: GatewayId| (id, other)).collect();
            if self.random.percent(50) {
                self.holders = vec![alone, (alone + 1) % 3];
            }
        } else {
            self.split.clear();
            self.holders.truncate(1);
        }
    }

    /// The clock of a gateway jumps, or stands still until the time has passed.
    fn jump(&mut self, at: usize) {
        const MONTH: i64 = 31 * 24 * 3_600_000;
        let millis = match self.random.below(20) {
            0 => MONTH,
            1..8 => 3_600_000,
            8..14 => 2_000,
            _ => -2_000,
        };
        self.nodes[at].ahead += millis;
    }
}
