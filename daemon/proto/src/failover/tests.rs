//! The rules between gateways: one by one, and in random histories.

use std::net::SocketAddr;

use super::*;
use crate::{
    SessionKey, TagDigest, Time,
    gateway::{Side, Spi, SpiCandidates},
    journal::{Loaded, Unreadable},
};

mod claims;
mod codec;
mod datagrams;
mod ends;
mod model;
mod restarts;

const START: Time = Time::from_millis(1_800_000_000_000);

/// Some gateways, and a network that delivers everything at once.
struct Site {
    now: Time,
    gateways: Vec<Standby>,
    /// What the gateways decided, without frames.
    outputs: Vec<(u16, Output)>,
    /// Gateways that are not reachable.
    lost: Vec<u16>,
    /// Number of the latest batch of each gateway.
    latest: [u64; 3],
}

fn key(number: u8) -> SessionKey {
    SessionKey::from_random([number; 16])
}

fn tag(number: u8) -> TagDigest {
    TagDigest::of(format!("SCS1tag{number}").as_bytes())
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn shared() -> SocketAddr {
    address("203.0.113.100:4172")
}

fn client(port: u16) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 1].into(), port)
}

fn agent(number: u8) -> SocketAddr {
    SocketAddr::new([10, 0, 0, number].into(), 4172)
}

fn words(first: u32) -> SpiCandidates {
    SpiCandidates { first: spi(first), second: Some(spi(9)), third: None }
}

fn spi(number: u32) -> Spi {
    Spi::from_bytes(number.to_be_bytes())
}

/// The session of client and agent `number`.
fn grant(number: u8) -> Grant {
    Grant {
        key: key(number),
        id: format!("0b1c2d3e-0000-4000-8000-{number:012x}").parse().unwrap(),
        agent: agent(number),
        hostname: None,
        tag: tag(number),
        issued: START,
        expires: START + Grant::VALID,
        token: format!("token{number}").into(),
    }
}

/// One flow from this port, with an SPI from the session's number.
fn flows(number: u8, port: u16) -> Flows {
    let spi = spi(0xc0de_0000 + u32::from(number));
    Flows {
        client: vec![ClientFlow { from: client(port), spi, to: shared() }],
        agent: vec![AgentFlow { from: agent(number), spi: spi.swapped() }],
    }
}

fn rules(id: u16) -> Rules {
    Rules {
        id: GatewayId(id),
        peers: (1..=3).map(GatewayId).collect(),
        shared: [shared().ip()].into(),
        max_standby: 10,
        max_remembered: 20,
    }
}

impl Site {
    /// Three gateways that know each other.
    fn new() -> Self {
        let gateway = |id: u16| Standby::new(rules(id), BootId(u64::from(id)));
        let gateways = (1..=3).map(gateway).collect();
        let mut site =
            Self { now: START, gateways, outputs: Vec::new(), lost: Vec::new(), latest: [0; 3] };
        site.wait(1000);
        site.outputs.clear();
        site
    }

    /// A session that gateway 1 serves, and whose flow from port 5000 the others know.
    fn serving(number: u8) -> Self {
        let mut site = Self::new();
        site.announce(number);
        site
    }

    fn announce(&mut self, number: u8) {
        let now = self.now;
        self.at(1).announced(grant(number), now).unwrap();
        for id in [2, 3] {
            self.at(id).grant(grant(number), now).unwrap();
        }
        self.at(1).take_over(&[tag(number)], now).unwrap();
        self.at(1).flows(key(number), flows(number, 5000));
        self.wait(100);
    }

    fn at(&mut self, id: u16) -> &mut Standby {
        &mut self.gateways[usize::from(id) - 1]
    }

    /// Waits in steps of at most 100 ms, and delivers all frames.
    fn wait(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(100) {
            self.now = self.now + Duration::from_millis(millis.min(100));
            for id in 1..=3 {
                if !self.lost.contains(&id) {
                    let now = self.now;
                    self.at(id).tick(now);
                    self.perform(id);
                }
            }
        }
    }

    /// Waits while gateway 1 hears the client.
    fn wait_heard(&mut self, number: u8, millis: u64) {
        for _ in 0..millis / 100 {
            let now = self.now;
            self.at(1).heard(key(number), Some(client(5000)), now);
            self.wait(100);
        }
    }

    fn perform(&mut self, id: u16) {
        let lost = self.lost.clone();
        for output in self.at(id).take_outputs() {
            let Output::Send(to, frame) = output else {
                self.outputs.push((id, output));
                continue;
            };
            self.latest[usize::from(id) - 1] = frame.sequence;
            for other in (1..=3).filter(|other| *other != id && !lost.contains(other)) {
                if to == Recipient::All || to == Recipient::Peer(GatewayId(other)) {
                    let now = self.now;
                    self.at(other).receive(GatewayId(id), frame.clone(), now);
                    self.perform(other);
                }
            }
        }
    }

    fn server(&mut self, number: u8) -> Vec<u16> {
        let served = |id: &u16| self.at(*id).view(key(number)).is_some_and(|view| view.is_served);
        (1..=3).filter(served).collect()
    }

    fn claim(&mut self, id: u16, number: u8) -> Option<(u64, u16)> {
        let claim = self.at(id).view(key(number))?.claim?;
        Some((claim.term.0, claim.gateway.0))
    }

    /// A client's datagram arrives at the shared address.
    fn send(&mut self, id: u16, number: u8, port: u16) -> Verdict {
        let (now, words) = (self.now, words(0xc0de_0000 + u32::from(number)));
        self.at(id).datagram(Side::Client, (client(port), shared()), words, now)
    }

    /// A batch of gateway 3 arrives, which is compromised from now on.
    fn lie(&mut self, to: &[u16], statements: &[Statement]) {
        self.lost = vec![3];
        self.latest[2] += 1;
        for to in to {
            let content = Content::Batch(statements.to_vec());
            let frame = Frame { boot: BootId(3), sequence: self.latest[2], content };
            let now = self.now;
            self.at(*to).receive(GatewayId(3), frame, now);
            self.perform(*to);
        }
    }
}
