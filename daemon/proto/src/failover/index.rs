//! Finds the session that a datagram may belong to by its source's IP address and its SPI. It
//! contains the flows of all sessions, also of those that this gateway serves: a flow is unique
//! only among all of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use super::Flows;
use crate::{
    SessionKey,
    gateway::{Side, Spi},
};

/// Sessions by the flows that they have.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: HashMap<Place, BTreeSet<SessionKey>>,
    /// The sessions with a flow from each address of clients.
    clients: HashMap<IpAddr, BTreeSet<SessionKey>>,
    /// The addresses of clients that were added or removed.
    changed: BTreeMap<IpAddr, bool>,
}

type Place = (Side, IpAddr, Spi);

/// The sessions that match a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    One(SessionKey),
    Several,
}

impl Index {
    pub(super) fn insert(&mut self, key: SessionKey, flows: &Flows) {
        for place in places(flows) {
            self.places.entry(place).or_default().insert(key);
        }
        for ip in clients(flows) {
            let keys = self.clients.entry(ip).or_default();
            if keys.is_empty() {
                self.changed.insert(ip, true);
            }
            keys.insert(key);
        }
    }

    pub(super) fn remove(&mut self, key: SessionKey, flows: &Flows) {
        for place in places(flows) {
            if let Some(keys) = self.places.get_mut(&place) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.places.remove(&place);
                }
            }
        }
        for ip in clients(flows) {
            let Some(keys) = self.clients.get_mut(&ip) else { continue };
            keys.remove(&key);
            if keys.is_empty() {
                self.clients.remove(&ip);
                self.changed.insert(ip, false);
            }
        }
    }

    /// The sessions with a flow from this address of a client.
    pub(super) fn of_client(&self, ip: IpAddr) -> impl Iterator<Item = SessionKey> {
        self.clients.get(&ip).into_iter().flatten().copied()
    }

    /// The addresses of clients that have changed since the last call, and whether there are flows
    /// from each.
    pub(super) fn take_addresses(&mut self) -> Vec<(IpAddr, bool)> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// The session with this SPI from any port of this address. Two neighbours have the same SPI
    /// only by chance, or because a compromised peer says so.
    pub(super) fn find(&self, side: Side, from: IpAddr, spi: Spi) -> Found {
        let mut keys = self.places.get(&(side, from, spi)).into_iter().flatten();
        match (keys.next(), keys.next()) {
            (None, _) => Found::Nothing,
            (Some(key), None) => Found::One(*key),
            (Some(_), Some(_)) => Found::Several,
        }
    }
}

fn places(flows: &Flows) -> impl Iterator<Item = Place> {
    let client = flows.client.iter().map(|flow| (Side::Client, flow.from.ip(), flow.spi));
    client.chain(flows.agent.iter().map(|flow| (Side::Agent, flow.from.ip(), flow.spi)))
}

fn clients(flows: &Flows) -> impl Iterator<Item = IpAddr> {
    flows.client.iter().map(|flow| flow.from.ip())
}
