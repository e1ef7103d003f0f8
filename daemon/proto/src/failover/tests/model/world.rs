//! Everything outside the gateways: the Connection Manager, clients, agents and the network.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{node::Node, random::Random, rogue::Rogue};
use crate::{
    SessionKey, TagDigest, Time,
    failover::{Frame, GatewayId, Grant, Rules, Statement, message::Content},
    gateway::{Spi, SpiCandidates},
};

/// The id of the compromised gateway is the highest: it wins every tie.
pub(super) const ROGUE: GatewayId = GatewayId(9);
pub(super) const GATEWAYS: [GatewayId; 4] = [GatewayId(1), GatewayId(2), GatewayId(3), ROGUE];
pub(super) const CLIENTS: usize = 4;
pub(super) const MAX_REMEMBERED: usize = 12;
pub(super) const START: u64 = 1_800_000_000_000;

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) random: Random,
    /// The Connection Manager's clock in milliseconds.
    pub(super) global: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) rogue: Option<Rogue>,
    pub(super) had_rogue: bool,
    pub(super) network: Vec<Packet>,
    /// The pairs of gateways that cannot reach each other.
    pub(super) split: Vec<(GatewayId, GatewayId)>,
    /// The gateways that have the shared address. Only one does, except in a split.
    pub(super) holders: Vec<usize>,
    pub(super) clients: Vec<Client>,
    pub(super) issued: BTreeMap<SessionKey, (Grant, usize)>,
    pub(super) boots: u64,
    pub(super) seen: Seen,
}

pub(super) struct Client {
    pub(super) source: SocketAddr,
    /// All sources it has had.
    pub(super) sources: Vec<SocketAddr>,
    /// Its current session.
    pub(super) key: Option<SessionKey>,
    pub(super) spi: Spi,
    pub(super) agent: SocketAddr,
    /// Where it sends datagrams.
    pub(super) to: SocketAddr,
}

#[derive(Clone)]
pub(super) struct Packet {
    pub(super) from: GatewayId,
    pub(super) to: GatewayId,
    pub(super) payload: Payload,
}

#[derive(Clone)]
pub(super) enum Payload {
    Frame(Frame),
    /// From the Connection Manager.
    Grant(Box<Grant>),
}

/// How often something happened, so that the model is not empty.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen(BTreeMap<&'static str, u64>);

const EVERYTHING: [&str; 10] = [
    "announced",
    "taken over by tag",
    "taken over by datagram",
    "taken over after a restart",
    "moved to another port",
    "to the client",
    "ended",
    "two servers",
    "superseded",
    "survived",
];

impl Seen {
    pub(super) fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub(super) fn is_everything(&self) -> bool {
        EVERYTHING.iter().all(|what| self.0.contains_key(what))
    }
}

pub(super) fn shared() -> SocketAddr {
    "203.0.113.100:4172".parse().unwrap()
}

pub(super) fn own_address(node: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::from([203, 0, 113, u8::try_from(node).unwrap() + 1]), 4172)
}

pub(super) fn words(spi: Spi) -> SpiCandidates {
    SpiCandidates { first: spi, second: Some(Spi::from_bytes([0, 0, 0, 9])), third: None }
}

fn rules(id: GatewayId) -> Rules {
    Rules {
        id,
        peers: GATEWAYS.into_iter().filter(|peer| *peer != id).collect(),
        shared: [shared().ip()].into(),
        max_standby: 20,
        max_remembered: MAX_REMEMBERED,
    }
}

impl World {
    /// A compromised gateway takes part in every second history.
    pub(super) fn new(seed: u64) -> Self {
        let has_rogue = seed.is_multiple_of(2);
        let ids = GATEWAYS.iter().take(3);
        let nodes = ids.zip(1..).map(|(id, boot)| Node::new(*id, rules(*id), boot)).collect();
        Self {
            seed,
            random: Random::new(seed),
            global: START,
            nodes,
            rogue: has_rogue.then(Rogue::default),
            had_rogue: has_rogue,
            network: Vec::new(),
            split: Vec::new(),
            holders: vec![0],
            clients: (0..CLIENTS).map(Client::new).collect(),
            issued: BTreeMap::new(),
            boots: 10,
            seen: Seen::default(),
        }
    }

    /// The Connection Manager issues a grant for a client. With the same tag, the client's session
    /// at the agent continues.
    pub(super) fn issue(&mut self, client: usize, same_tag: bool) -> Grant {
        let number = u8::try_from(self.issued.len()).unwrap();
        let former = self.clients[client].key.map(|key| self.issued[&key].0.tag);
        let tag = former.filter(|_| same_tag);
        let issued = Time::from_millis(self.global / 1000 * 1000);
        let grant = Grant {
            key: SessionKey::from_random([number; 16]),
            id: format!("0b1c2d3e-0000-4000-8000-{number:012x}").parse().unwrap(),
            agent: self.clients[client].agent,
            hostname: None,
            tag: tag.unwrap_or_else(|| TagDigest::of(format!("SCS1tag{number}").as_bytes())),
            issued,
            expires: issued + Grant::VALID,
            token: "token".into(),
        };
        self.issued.insert(grant.key, (grant.clone(), client));
        let client = &mut self.clients[client];
        client.key = Some(grant.key);
        // Neighbours 0 and 1 often have equal SPIs.
        let number = u32::from(number);
        let is_equal = client.agent == Client::agent(0) || client.agent == Client::agent(1);
        let spi = 0xc0de_0000 + if is_equal { number / 6 % 8 } else { number + 16 };
        client.spi = Spi::from_bytes(spi.to_be_bytes());
        grant
    }

    /// The gateway that gets what is sent to this address.
    pub(super) fn node_at(&mut self, to: SocketAddr) -> Option<usize> {
        let at = if to == shared() {
            self.random.pick(&self.holders)?
        } else {
            (0..self.nodes.len()).find(|node| own_address(*node) == to)?
        };
        self.nodes[at].is_up.then_some(at)
    }

    /// Delivers a packet, unless the network is split there.
    pub(super) fn deliver(&mut self, Packet { from, to, payload }: Packet) {
        let is_cut = self.split.contains(&(from, to)) || self.split.contains(&(to, from));
        let from_manager = matches!(payload, Payload::Grant(_));
        if is_cut && !from_manager {
            return;
        }
        if to == ROGUE {
            if let (Some(rogue), Payload::Frame(frame)) = (&mut self.rogue, payload) {
                rogue.hear(from, &frame);
            }
            return;
        }
        let Some(at) = self.nodes.iter().position(|node| node.id == to && node.is_up) else {
            return;
        };
        let now = self.nodes[at].now(self.global);
        match payload {
            Payload::Frame(frame) => {
                let frame = self.verified(frame);
                let heard = self.nodes[at].heard(now);
                self.nodes[at].standby.receive(from, frame, now);
                self.check_kept(at, &heard);
            }
            Payload::Grant(grant) => {
                let _ = self.nodes[at].standby.grant(*grant, now);
            }
        }
        self.perform(at);
    }

    /// The frame without forged grants: their signatures are verified before.
    fn verified(&self, mut frame: Frame) -> Frame {
        if let Content::Batch(statements) | Content::Snapshot { statements, .. } =
            &mut frame.content
        {
            statements.retain(|statement| match statement {
                Statement::Grant(grant) => {
                    self.issued.get(&grant.key).is_some_and(|(issued, _)| issued == grant)
                }
                _ => true,
            });
        }
        frame
    }

    pub(super) fn perform(&mut self, at: usize) {
        let packets = self.nodes[at].perform(&GATEWAYS);
        self.network.extend(packets);
    }

    pub(super) fn tick(&mut self, at: usize) {
        if self.nodes[at].is_up {
            let now = self.nodes[at].now(self.global);
            self.nodes[at].standby.tick(now);
            self.perform(at);
        }
    }

    pub(super) fn wait(&mut self, duration: Duration) {
        self.global += u64::try_from(duration.as_millis()).unwrap();
    }

    pub(super) fn restart(&mut self, at: usize, has_journal: bool) {
        self.boots += 1;
        let rules = rules(self.nodes[at].id);
        self.nodes[at].restart(rules, self.boots, has_journal);
        self.nodes[at].is_up = true;
    }
}

impl Client {
    fn new(number: usize) -> Self {
        let source = Self::source(number, 0);
        Self {
            source,
            sources: vec![source],
            key: None,
            spi: Spi::from_bytes([0; 4]),
            agent: Self::agent(number),
            to: shared(),
        }
    }

    /// Clients 0 and 1 are behind one NAT, and so are 2 and 3.
    pub(super) fn source(number: usize, port: u16) -> SocketAddr {
        let number = u8::try_from(number).unwrap();
        let ip = IpAddr::from([192, 0, 2, 1 + number / 2]);
        SocketAddr::new(ip, 5000 + 1000 * u16::from(number) + port)
    }

    fn agent(number: usize) -> SocketAddr {
        SocketAddr::new(IpAddr::from([10, 0, 0, u8::try_from(number).unwrap() + 1]), 4172)
    }
}
