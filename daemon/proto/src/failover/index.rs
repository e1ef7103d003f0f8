//! Finds the sessions that a datagram may belong to by its source and SPI. It contains the flows of
//! all sessions, also of those that this gateway serves: a flow is unique only among all of them.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use super::{Flows, message::ClientFlow};
use crate::{
    SessionKey,
    gateway::{Side, Spi},
};

/// Sessions by the flows that they have.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<(Side, SocketAddr, Spi), Vec<SessionKey>>,
    by_ip: HashMap<(IpAddr, Spi), Vec<SessionKey>>,
}

/// The sessions that match a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    One(SessionKey),
    Several,
}

impl Index {
    pub(super) fn insert(&mut self, key: SessionKey, flows: &Flows) {
        for place in exact(flows) {
            add(self.exact.entry(place).or_default(), key);
        }
        for flow in &flows.client {
            add(self.by_ip.entry(at_ip(flow)).or_default(), key);
        }
    }

    pub(super) fn remove(&mut self, key: SessionKey, flows: &Flows) {
        for place in exact(flows) {
            remove(&mut self.exact, place, key);
        }
        for flow in &flows.client {
            remove(&mut self.by_ip, at_ip(flow), key);
        }
    }

    /// The session with exactly this flow.
    pub(super) fn exact(&self, side: Side, from: SocketAddr, spi: Spi) -> Found {
        found(self.exact.get(&(side, from, spi)))
    }

    /// The session whose client has this SPI and IP address.
    pub(super) fn by_ip(&self, ip: IpAddr, spi: Spi) -> Found {
        found(self.by_ip.get(&(ip, spi)))
    }
}

fn exact(flows: &Flows) -> impl Iterator<Item = (Side, SocketAddr, Spi)> {
    let client = flows.client.iter().map(|flow| (Side::Client, flow.from, flow.spi));
    client.chain(flows.agent.iter().map(|flow| (Side::Agent, flow.from, flow.spi)))
}

fn at_ip(flow: &ClientFlow) -> (IpAddr, Spi) {
    (flow.from.ip(), flow.spi)
}

fn add(keys: &mut Vec<SessionKey>, key: SessionKey) {
    if !keys.contains(&key) {
        keys.push(key);
    }
}

fn remove<P: Eq + std::hash::Hash>(
    map: &mut HashMap<P, Vec<SessionKey>>,
    place: P,
    key: SessionKey,
) {
    if let Some(keys) = map.get_mut(&place) {
        keys.retain(|other| *other != key);
        if keys.is_empty() {
            map.remove(&place);
        }
    }
}

fn found(keys: Option<&Vec<SessionKey>>) -> Found {
    match keys.map(Vec::as_slice) {
        None | Some([]) => Found::Nothing,
        Some([key]) => Found::One(*key),
        Some(_) => Found::Several,
    }
}
