//! What roles count: whom they did not serve, and why.

use serde::{Deserialize, Serialize};

/// What a Connection Manager did not serve, by the reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unserved {
    /// Connections beyond `MaxConnections` that nobody had to make room for; health checks among them
    /// are served.
    pub crowded: u64,
    /// Connections without a session or a whole request that were closed to make room for others.
    #[serde(default)]
    pub evicted: u64,
    /// Requests and answers that were not kept, since bodies took all the memory that they may.
    #[serde(default)]
    pub memory: u64,
    /// Requests of users without a right password that the broker was not asked, since it was asked
    /// as many already.
    #[serde(default)]
    pub strangers: u64,
    /// Requests that the broker did not answer with what can be used.
    pub broker: u64,
    /// Sessions that no gateway took.
    pub gateway: u64,
    /// Requests of no session, or that their session does not allow.
    pub session: u64,
    /// Log-ons while there were as many sessions as there may be.
    pub too_many_sessions: u64,
    /// Log-ons while it drained.
    pub draining: u64,
    /// Its gateways, in their order.
    pub gateways: Vec<GatewayStanding>,
}

/// How a gateway stands with a Connection Manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStanding {
    /// Its public addresses.
    pub gateway: String,
    /// Whether it is the gateway of this host. A daemon of an earlier version does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_own: Option<bool>,
    /// Whether it took sessions when it was looked at last.
    pub takes_sessions: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Announcements that it refused.
    pub refused: u64,
    /// Announcements that it did not answer.
    pub silent: u64,
    /// Why it refused the last announcement; none if it accepted that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<LastRefusal>,
}

/// An announcement that a gateway refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefusal {
    /// When, RFC 3339.
    pub at: String,
    /// Its reason.
    pub reason: String,
}

/// What was not let through the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TurnedAway {
    /// Datagrams, by the reason.
    pub datagrams: DroppedDatagrams,
    /// Connections of clients, by the reason.
    pub clients: RefusedClients,
}

/// How many datagrams were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DroppedDatagrams {
    /// They are no session's.
    pub unknown: u64,
    /// They may be several sessions'.
    pub ambiguous: u64,
    /// They are for a client of which nobody knows where it expects them.
    pub no_destination: u64,
    /// Too many waited to be decided, or they were too large to wait.
    pub undecided: u64,
    /// The system could not take them at once.
    pub congested: u64,
    /// The system refused them.
    pub failed: u64,
}

/// How many connections of clients were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RefusedClients {
    /// They were closed to make room for others, since too many were without a session.
    pub crowded: u64,
    /// They finished no TLS handshake.
    pub no_tls: u64,
    /// They showed no announced session tag in time.
    pub no_tag: u64,
}
