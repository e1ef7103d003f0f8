//! Counters of connections, requests and datagrams that the roles refused, by reason.

use serde::{Deserialize, Serialize};

/// What a Connection Manager refused since its start, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Unserved {
    /// Connections beyond `MaxConnections` that could not replace another one. Health checks are
    /// answered nevertheless.
    pub crowded: u64,
    /// Connections without a session or a complete request that were closed to make room for
    /// others.
    #[serde(default)]
    pub evicted: u64,
    /// Requests and responses that were discarded because the memory for bodies was full.
    #[serde(default)]
    pub memory: u64,
    /// Requests before a successful logon that were not sent to the broker because too many were in
    /// progress.
    #[serde(default)]
    pub strangers: u64,
    /// Requests that failed at the broker: no response, or an invalid one.
    pub broker: u64,
    /// Sessions that no gateway accepted.
    pub gateway: u64,
    /// Requests without a valid session, or that the session's stage does not allow.
    pub session: u64,
    /// Logons while the number of sessions was at its limit.
    pub too_many_sessions: u64,
    /// Logons while the role was draining.
    pub draining: u64,
    /// Its gateways, in the order in which they are tried.
    pub gateways: Vec<GatewayStanding>,
}

/// The state of a gateway, as its Connection Manager reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStanding {
    /// Public addresses of the gateway, and its control address if it shares a public address.
    pub gateway: String,
    /// Whether it is the gateway of this host. A daemon of an earlier version does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_own: Option<bool>,
    /// Whether the gateway accepted sessions at the last check.
    pub takes_sessions: bool,
    /// Why it did not.
    pub reason: Option<String>,
    /// Announcements that the gateway refused.
    pub refused: u64,
    /// Announcements without a response.
    pub silent: u64,
    /// The last announcement, if the gateway refused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refusal: Option<LastRefusal>,
}

/// The last announcement that a gateway refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRefusal {
    /// Time of the refusal, as RFC 3339.
    pub at: String,
    /// The reason in the gateway's response.
    pub reason: String,
}

/// Dropped datagrams and refused clients of a gateway since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TurnedAway {
    /// Dropped datagrams, by reason.
    pub datagrams: DroppedDatagrams,
    /// Refused connections of clients, by reason.
    pub clients: RefusedClients,
}

/// Dropped datagrams, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DroppedDatagrams {
    /// They belong to no session.
    pub unknown: u64,
    /// They match more than one session.
    pub ambiguous: u64,
    /// They are for a client whose UDP address is not known yet.
    pub no_destination: u64,
    /// The queue of datagrams without a route was full, or the datagram was too large for it.
    pub undecided: u64,
    /// The send buffer was full.
    pub congested: u64,
    /// The system call failed.
    pub failed: u64,
}

/// Refused connections of clients, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RefusedClients {
    /// Closed to make room for others, since too many had not sent a tag.
    pub crowded: u64,
    /// The TLS handshake failed or timed out.
    pub no_tls: u64,
    /// No tag of an announced session arrived in time.
    pub no_tag: u64,
}
