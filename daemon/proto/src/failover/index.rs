//! Finds the session that a datagram may belong to by its source's IP address and its SPI. It
//! contains the flows of all sessions, also of those that this gateway serves: a flow is unique
//! only among all of them.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use super::Flows;
use crate::{
    SessionKey,
    gateway::{Side, Spi},
};

/// Sessions by the flows that they have.
#[derive(Debug, Default)]
pub(super) struct Index(HashMap<Place, BTreeSet<SessionKey>>);

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
            self.0.entry(place).or_default().insert(key);
        }
    }

    pub(super) fn remove(&mut self, key: SessionKey, flows: &Flows) {
        for place in places(flows) {
            if let Some(keys) = self.0.get_mut(&place) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.0.remove(&place);
                }
            }
        }
    }

    /// The session with this SPI from any port of this address. Two neighbours have the same SPI
    /// only by chance, or because a compromised peer says so.
    pub(super) fn find(&self, side: Side, from: IpAddr, spi: Spi) -> Found {
        let mut keys = self.0.get(&(side, from, spi)).into_iter().flatten();
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
