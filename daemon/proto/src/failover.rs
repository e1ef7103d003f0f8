//! The rules between gateways: which of them serves a session, and when another one takes over.
//!
//! The Connection Manager sends every gateway a [`Grant`] for each session. [`Standby`] holds the
//! grants and what the peers report, and decides who serves. It emits its decisions as [`Output`]s.
//! The sessions that this gateway serves belong to [`Admission`](crate::gateway::Admission): see
//! `docs/decisions/0017-gateways-tell-each-other.md`.
//!
//! A peer may be compromised. Its reports never create a session, an agent or a route by
//! themselves, and never end a session whose client this gateway has just heard.

pub use codec::Malformed;
pub use ended::Tombstone;
pub use message::{AgentFlow, ClientFlow, Content, Flows, Frame, Position, Statement};
pub use standby::{Record, Saved, SavedSession, SavedState, Standby};
pub use terms::{Dropped, Fact, Grant, Output, Recipient, Refusal, Rules, Verdict, View, Why};

mod codec;
mod ended;
mod index;
mod message;
mod peer;
mod session;
mod standby;
mod terms;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The number of a gateway among its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GatewayId(pub u16);

/// Counts how often a session has moved to another gateway. Zero if no gateway serves it yet.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The next term.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The highest term that a gateway accepts if it knows this one. A compromised peer must not
    /// use up all terms at once.
    #[must_use]
    pub const fn limit(self) -> Self {
        Self(self.0.saturating_add(1000))
    }
}

/// The claim of a gateway to serve a session. The highest claim wins: the highest term, and then
/// the highest gateway id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// The term of the claim.
    pub term: Term,
    /// The gateway that serves the session.
    pub gateway: GatewayId,
}

/// A random number that a gateway chooses when it starts. Its sequence numbers begin at one then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(pub u64);

/// How long a client is considered present after it was heard, and how long a gateway waits for a
/// replicated address before it accepts another one.
pub const SILENCE: Duration = Duration::from_secs(1);

/// How long a peer is considered reachable after a frame arrived. The receiver measures it: clocks
/// of different hosts are never compared.
pub const LEASE: Duration = Duration::from_secs(1);

/// How often a gateway sends a heartbeat to its peers.
pub const HEARTBEAT: Duration = Duration::from_millis(250);
