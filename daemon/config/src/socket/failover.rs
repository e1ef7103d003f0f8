//! What a gateway reports of sessions that gateways take over from each other.

use serde::{Deserialize, Serialize};

/// The state of failover.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FailoverStatus {
    /// `GatewayId` of this gateway.
    pub id: u16,
    /// SHA-256 of its public key, as in the `Peer` lines of the other gateways.
    pub pin: String,
    /// Number of sessions that it serves and others may take over.
    pub serving: usize,
    /// Number of sessions of other gateways that it may take over.
    pub standing_by: usize,
    /// Number of ended sessions whose grants have not expired.
    pub ended: usize,
    /// Number of sessions that it has taken over since it started.
    #[serde(default)]
    pub taken_over: u64,
    /// The last of them, the latest one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latest: Vec<TakenOver>,
    /// The peers, in the order of their ids.
    pub peers: Vec<PeerStatus>,
}

/// A session that was taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenOver {
    /// Its session log id.
    pub session: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Why: `tag` if its client connected, `datagram` if its client's datagrams arrived.
    pub why: String,
}

/// The state of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its `GatewayId`.
    pub id: u16,
    /// Its `HOST:PORT`.
    pub address: String,
    /// Whether this gateway is connected to it.
    pub connected: bool,
    /// Whether it was heard within the last second.
    pub heard: bool,
    /// Bytes sent to it since this gateway started, without TLS.
    #[serde(default)]
    pub sent: u64,
}

/// Which gateway serves a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Served {
    /// `GatewayId` of the gateway that serves it; `None` if none does yet.
    pub by: Option<u16>,
    /// When it last moved, in milliseconds since 1970; `None` if it did not since this gateway
    /// started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Why it moved: `announced`, `tag`, `datagram`, `claimed` or `kept`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
