//! A test environment for the rules: sessions have numbers, and the routes are updated as in a
//! worker.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::*;
use crate::gateway::{Routes, Spi};

mod flows;
mod intruders;
mod journal;
mod local;
mod model;
mod moved;
mod places;
mod records;
mod roaming;
mod rules;
mod sessions;
mod twin;
mod usage;

const START: Time = Time::from_millis(1_800_000_000_000);

pub(super) const TIMEOUTS: Timeouts = Timeouts {
    announced: Duration::from_secs(240),
    resume: Duration::from_secs(300),
    udp_idle: Duration::from_secs(60),
};

/// Other timeouts, which a change of the rules may set.
pub(super) const SHORT: Timeouts = Timeouts {
    announced: Duration::from_secs(59),
    resume: Duration::from_secs(120),
    udp_idle: Duration::from_secs(30),
};

pub(super) struct World {
    pub(super) admission: Admission,
    pub(super) routes: Routes,
    pub(super) now: Time,
    pub(super) seen: HashMap<FlowId, Seen>,
}

pub(super) fn id(number: u32) -> SessionId {
    format!("0b1c2d3e-0000-4000-8000-{number:012x}").parse().unwrap()
}

pub(super) fn tag(number: u32) -> TagDigest {
    TagDigest::of(format!("SCS1tag{number}").as_bytes())
}

/// Each of the agents 0 to 9 has its own host.
pub(super) fn agent(number: u32) -> SocketAddr {
    format!("10.0.0.{number}:4172").parse().unwrap()
}

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn from(client: &str) -> IpAddr {
    ip(client)
}

/// A datagram that came to an unknown local address.
pub(super) fn origin(from: SocketAddr) -> Origin {
    Origin { from, local: None }
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A datagram that begins with these two words.
pub(super) fn candidates(first: u32, second: u32) -> SpiCandidates {
    SpiCandidates { first: spi(first), second: Some(spi(second)), third: None }
}

pub(super) fn spi(number: u32) -> Spi {
    Spi::from_bytes(number.to_be_bytes())
}

/// Control bytes of an unknown layout that contain these SPIs.
pub(super) fn bytes(spis: &[u32]) -> Vec<u8> {
    let spis = spis.iter().flat_map(|spi| [&b"-key-"[..], &spi.to_be_bytes()].concat());
    b"GET ".iter().copied().chain(spis).collect()
}

/// A message of the documented layout that contains these SPIs.
pub(super) fn chunks(spis: &[u32]) -> Vec<u8> {
    let mut body = b"ssig\0\0\0\x04\0\0\0\0".to_vec();
    for spi in spis {
        body.extend(b"2spi\0\0\0\x04");
        body.extend(spi.to_be_bytes());
    }
    [&(body.len() as u64).to_be_bytes(), body.as_slice()].concat()
}

impl World {
    pub(super) fn new(max_connections: u32) -> Self {
        let rules = Rules { max_connections, timeouts: TIMEOUTS };
        Self {
            admission: Admission::new(rules),
            routes: Routes::default(),
            now: START,
            seen: HashMap::new(),
        }
    }

    /// Changes the rules of the running gateway.
    pub(super) fn change(&mut self, max_connections: u32, timeouts: Timeouts) {
        self.admission.set_rules(Rules { max_connections, timeouts });
    }

    pub(super) fn announcement(&self, number: u32) -> Announcement {
        Announcement {
            id: id(number),
            key: None,
            agent: agent(number),
            hostname: None,
            tag: tag(number),
            issued: self.now,
        }
    }

    pub(super) fn announce(&mut self, number: u32) -> Result<(), Refusal> {
        self.admission.announce(self.announcement(number), self.now)
    }

    pub(super) fn admit(&mut self, number: u32, client: &str) -> Option<Control> {
        let admitted = self.admission.admit(&[tag(number)], from(client), self.now)?;
        self.follow();
        Some(admitted.control)
    }

    /// Announces a session and admits its client.
    pub(super) fn connect(&mut self, number: u32, client: &str) -> Control {
        self.announce(number).unwrap();
        self.admit(number, client).unwrap()
    }

    pub(super) fn observe(&mut self, control: Control, side: Side, bytes: &[u8]) -> bool {
        let wanted = self.admission.observe(control, side, bytes);
        self.follow();
        wanted
    }

    /// Processes a datagram as a worker and the owner do, and returns its destination.
    pub(super) fn send(
        &mut self,
        side: Side,
        from: &str,
        candidates: SpiCandidates,
    ) -> Result<SocketAddr, Dropped> {
        let from = address(from);
        let found = self.routes.read().find(side, from, candidates);
        let sent = match found {
            Some(found) => Ok(found),
            None if self.routes.read().expects(side, from.ip()) => {
                self.compare(side, from, candidates);
                let seen = |flow| self.seen.get(&flow).copied().unwrap_or_default();
                self.admission.datagram(side, origin(from), candidates, (self.now, seen))
            }
            None => Err(Dropped::Unknown),
        };
        self.follow();
        sent.map(|found| {
            let numbered = self.routes.read().find_numbered(side, from, candidates);
            let seen = self.seen.entry(found.flow).or_default();
            seen.datagrams += 1;
            seen.sequence = numbered.and_then(|(_, sequence)| sequence);
            found.to
        })
    }

    /// Compares the sessions that a datagram may belong to with all those at its address.
    fn compare(&self, side: Side, from: SocketAddr, candidates: SpiCandidates) {
        let admission = &self.admission;
        let Some(place) = admission.by_address.get(&(side, from.ip())) else { return };
        let found: Vec<_> = place
            .candidates(candidates)
            .into_iter()
            .filter_map(|slot| admission.at(slot))
            .collect();
        let is_there = |(_, session): &(Slot, &Session)| {
            session.listed[side as usize].is_some() && session.address(side) == Some(from.ip())
        };
        let sessions = admission.sessions.iter().flatten();
        let all: Vec<_> =
            sessions.filter_map(|session| admission.at(session.slot)).filter(is_there).collect();
        let [found, all] = [found, all].map(|sessions| {
            let judged = judge::judge(&sessions, (side, true), from, candidates);
            judged.map(|(slot, placed)| (slot, format!("{placed:?}")))
        });
        assert_eq!(found, all);
    }

    pub(super) fn close(&mut self, control: Control) {
        self.admission.control_closed(control, self.now);
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.tick();
    }

    /// Waits until no flow has been active for a second.
    pub(super) fn fall_silent(&mut self) {
        self.wait(1);
        self.wait(1);
    }

    pub(super) fn tick(&mut self) {
        let counted = |flow| self.seen.get(&flow).map_or(0, |seen| seen.datagrams);
        self.admission.tick(self.now, counted);
        self.follow();
    }

    /// The sessions that ended since the last call, and why.
    pub(super) fn ends(&mut self) -> Vec<(SessionId, End)> {
        let ended = |event| match event {
            Event::Ended(_, id, end) => Some((id, end)),
            _ => None,
        };
        self.admission.take_events().into_iter().filter_map(ended).collect()
    }

    fn follow(&mut self) {
        for change in self.admission.take_changes() {
            self.routes.apply(change);
        }
    }
}
