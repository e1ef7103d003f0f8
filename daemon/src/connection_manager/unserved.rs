//! Counters of refused connections and requests, for `GET /status`.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use cmsg_config::socket::{GatewayStanding, Unserved};
use cmsg_proto::broker::Refusal;

use crate::https::{bodies::Bodies, listener};

/// One counter for each reason.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// The counters of the listener.
    pub(super) connections: Arc<listener::Counters>,
    /// Requests before a logon that were not sent to the broker.
    pub(super) strangers: AtomicU64,
    broker: AtomicU64,
    gateway: AtomicU64,
    session: AtomicU64,
    too_many_sessions: AtomicU64,
    draining: AtomicU64,
}

impl Counters {
    /// Counts a refused request.
    pub(super) fn count(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::BrokerTimedOut | Refusal::BrokerFailed => &self.broker,
            Refusal::GatewayFailed => &self.gateway,
            Refusal::UnknownSession | Refusal::InvalidSession => &self.session,
            Refusal::TooManySessions => &self.too_many_sessions,
            Refusal::Draining => &self.draining,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// All counters, with the state of the gateways.
    pub(super) fn counted(&self, bodies: &Bodies, gateways: Vec<GatewayStanding>) -> Unserved {
        Unserved {
            crowded: self.connections.crowded.load(Relaxed),
            evicted: self.connections.evicted.load(Relaxed),
            memory: bodies.refused(),
            strangers: self.strangers.load(Relaxed),
            broker: self.broker.load(Relaxed),
            gateway: self.gateway.load(Relaxed),
            session: self.session.load(Relaxed),
            too_many_sessions: self.too_many_sessions.load(Relaxed),
            draining: self.draining.load(Relaxed),
            gateways,
        }
    }
}
