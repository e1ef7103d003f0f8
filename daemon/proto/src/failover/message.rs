//! What gateways send to each other.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{BootId, Claim, Grant, Term};
use crate::{
    SessionKey,
    gateway::{Slot, Spi},
};

/// A message from one gateway to another. The connection authenticates the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The sender's boot id.
    pub boot: BootId,
    /// Number of the sender's latest batch: this one, if the frame is a batch.
    pub sequence: u64,
    /// The content.
    pub content: Content,
}

impl Frame {
    /// Whether the frame contains a grant.
    #[must_use]
    pub fn has_grants(&self) -> bool {
        match &self.content {
            Content::Batch(statements) | Content::Snapshot { statements, .. } => {
                statements.iter().any(|statement| matches!(statement, Statement::Grant(_)))
            }
            Content::Heartbeat(_) | Content::Resync { .. } => false,
        }
    }
}

/// The content of a [`Frame`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Renews the sender's lease. False if the sender accepts no new sessions because it drains.
    Heartbeat(bool),
    /// What has changed. Batches are numbered without gaps and sent to all peers.
    Batch(Vec<Statement>),
    /// The sender has missed batches, and requests a snapshot.
    Resync {
        /// Repeated by the snapshot.
        number: u64,
        /// The latest batch of the recipient that the sender has, if it has any.
        received: Option<Position>,
    },
    /// The state after the batch `sequence`, for one peer.
    Snapshot {
        /// The boot id in the request.
        to: BootId,
        /// The number in the request.
        number: u64,
        /// All grants, all sessions that the sender serves, the claims that it knows, and the
        /// sessions that ended since the position in the request.
        statements: Vec<Statement>,
    },
}

/// A batch of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The boot id of the gateway.
    pub boot: BootId,
    /// The number of the batch.
    pub sequence: u64,
}

/// What a gateway reports about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// A grant of the Connection Manager, passed on. The recipient verifies its signature.
    Grant(Grant),
    /// The sender serves the session.
    Serving {
        /// The session.
        key: SessionKey,
        /// The term of the sender's claim.
        term: Term,
        /// Whether its client has been silent for [`SILENCE`](super::SILENCE).
        is_silent: bool,
    },
    /// The flows of a session that the sender serves. They replace the previous ones.
    Flows {
        /// The session.
        key: SessionKey,
        /// The term of the sender's claim.
        term: Term,
        /// All flows of the session.
        flows: Flows,
    },
    /// A session that the sender served has ended.
    Ended {
        /// The session.
        key: SessionKey,
        /// The term of the sender's claim.
        term: Term,
    },
    /// What the sender knows of a session that it doesn't serve. A gateway that serves the session
    /// with a lower claim has lost its journal.
    Known {
        /// The session.
        key: SessionKey,
        /// The highest claim that the sender knows.
        claim: Claim,
        /// In a snapshot, the flows that the recipient reported before it restarted.
        flows: Flows,
    },
}

/// The flows of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flows {
    /// From the client, at most [`Slot::FLOWS`].
    pub client: Vec<ClientFlow>,
    /// From the agent, at most [`Slot::FLOWS`].
    pub agent: Vec<AgentFlow>,
}

/// Datagrams from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientFlow {
    /// Source address, canonical.
    pub from: SocketAddr,
    /// The SPI.
    #[serde(with = "spi")]
    pub spi: Spi,
    /// The address that the client sends them to, canonical.
    pub to: SocketAddr,
}

/// Datagrams from the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AgentFlow {
    /// Source address, canonical. It has the IP address of the announced agent.
    pub from: SocketAddr,
    /// The SPI.
    #[serde(with = "spi")]
    pub spi: Spi,
}

impl Statement {
    /// The session that it is about, except for a grant.
    pub(super) fn key(&self) -> Option<SessionKey> {
        match self {
            Self::Grant(_) => None,
            Self::Serving { key, .. }
            | Self::Flows { key, .. }
            | Self::Ended { key, .. }
            | Self::Known { key, .. } => Some(*key),
        }
    }
}

impl Flows {
    pub(super) fn has_client(&self, from: SocketAddr, spi: Spi) -> bool {
        self.client.iter().any(|flow| (flow.from, flow.spi) == (from, spi))
    }

    pub(super) fn has_agent(&self, from: SocketAddr, spi: Spi) -> bool {
        self.agent.iter().any(|flow| (flow.from, flow.spi) == (from, spi))
    }

    /// The flows that a session with this agent may have. A peer must not add an agent.
    #[must_use]
    pub(super) fn of_agent(mut self, agent: SocketAddr) -> Self {
        self.client.truncate(Slot::FLOWS as usize);
        self.agent.retain(|flow| flow.from.ip() == agent.ip());
        self.agent.truncate(Slot::FLOWS as usize);
        self
    }
}

mod spi {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::gateway::Spi;

    pub(super) fn serialize<S: Serializer>(spi: &Spi, serializer: S) -> Result<S::Ok, S::Error> {
        u32::from_be_bytes(spi.bytes()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Spi, D::Error> {
        Ok(Spi::from_bytes(u32::deserialize(from)?.to_be_bytes()))
    }
}
