//! The compromised gateway. It knows all grants, addresses and SPIs, and sends anything.

use super::world::{CLIENTS, Client, ROGUE, World, own_address, shared};
use crate::{
    SessionKey,
    failover::{
        AgentFlow, BootId, Claim, ClientFlow, Content, Flows, Frame, GatewayId, Grant, Statement,
        Term,
    },
    gateway::Spi,
};

#[derive(Default)]
pub(super) struct Rogue {
    /// The number of its latest batch.
    sequence: u64,
    requests: Vec<(GatewayId, BootId, u64)>,
}

impl Rogue {
    pub(super) fn hear(&mut self, from: GatewayId, frame: &Frame) {
        if let Content::Resync { number, .. } = frame.content {
            self.requests.push((from, frame.boot, number));
        }
    }
}

impl World {
    pub(super) fn rogue_acts(&mut self) {
        let Some(mut rogue) = self.rogue.take() else { return };
        let count = 1 + self.random.below(3);
        let statements = (0..count).filter_map(|_| self.lie()).collect();
        let (to, content) = match rogue.requests.pop() {
            Some((to, boot, number)) => (to, Content::Snapshot { to: boot, number, statements }),
            None if self.random.percent(10) => (GatewayId(1), Content::Heartbeat(true)),
            None => (GatewayId(1), Content::Batch(statements)),
        };
        rogue.sequence += u64::from(matches!(content, Content::Batch(_)));
        let boot = BootId(if self.random.percent(2) { self.random.number() } else { 77 });
        let frame = Frame { boot, sequence: rogue.sequence, content };
        self.rogue = Some(rogue);
        let is_snapshot = matches!(frame.content, Content::Snapshot { .. });
        for id in (1..=3).map(GatewayId).filter(|id| !is_snapshot || *id == to) {
            let payload = super::world::Payload::Frame(frame.clone());
            self.deliver(super::world::Packet { from: ROGUE, to: id, payload });
        }
    }

    /// Any statement about any session.
    fn lie(&mut self) -> Option<Statement> {
        let keys: Vec<_> = self.issued.keys().copied().collect();
        let key = match self.random.percent(95) {
            true => self.random.pick(&keys)?,
            false => SessionKey::from_random([200; 16]),
        };
        let term = self.any_term(key);
        let gateway = self.random.pick(&[ROGUE, GatewayId(1), GatewayId(2)])?;
        Some(match self.random.below(10) {
            0..3 => Statement::Serving { key, term, is_silent: self.random.percent(50) },
            3..7 => Statement::Flows { key, term, flows: self.any_flows() },
            7 => Statement::Ended { key, term },
            8 => Statement::Known { key, claim: Claim { term, gateway }, flows: self.any_flows() },
            _ => Statement::Grant(self.any_grant(key)?),
        })
    }

    /// Often the term of its own claim.
    fn any_term(&mut self, key: SessionKey) -> Term {
        let at = self.random.below(3);
        let claim = self.nodes[at].standby.view(key).and_then(|view| view.claim);
        let known = claim.map_or(0, |claim| claim.term.0);
        let above = self.random.pick(&[0, 0, 0, 1, 1, 999, 1000, 1001]).unwrap();
        if self.random.percent(2) { Term(u64::MAX) } else { Term(known.saturating_add(above)) }
    }

    /// Flows of any clients, agents and addresses that exist, and of others.
    fn any_flows(&mut self) -> Flows {
        let mut flows = Flows::default();
        for _ in 0..1 + self.random.below(3) {
            let of = self.random.below(CLIENTS);
            let Client { source, spi, agent, .. } = self.clients[of];
            let port = u16::try_from(self.random.below(3)).unwrap();
            let from = if self.random.percent(50) { source } else { Client::source(of, port) };
            let to = if self.random.percent(70) { shared() } else { own_address(0) };
            flows.client.push(ClientFlow { from, spi, to });
            let spi = Spi::swapped(spi);
            let elsewhere = "198.51.100.1:4172".parse().unwrap();
            let from = if self.random.percent(50) { agent } else { elsewhere };
            flows.agent.push(AgentFlow { from, spi });
        }
        flows
    }

    /// A grant that exists, or with another agent or a later time.
    fn any_grant(&mut self, key: SessionKey) -> Option<Grant> {
        let (grant, _) = self.issued.get(&key)?.clone();
        Some(match self.random.below(3) {
            0 => Grant { agent: "198.51.100.1:4172".parse().unwrap(), ..grant },
            1 => Grant { issued: grant.issued + std::time::Duration::from_secs(9), ..grant },
            _ => grant,
        })
    }
}
