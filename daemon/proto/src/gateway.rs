//! The rules of the Security Gateway: which clients it admits, and where it sends each datagram.
//!
//! [`Admission`] has a single owner and makes the decisions. It emits them as [`RouteChange`]s of
//! [`Routes`], which any number of workers read. The rules do not depend on the layout of the
//! control channel, which is not certain: [`chunks`] parses the most likely layout, while
//! [`Search`] and the retained bytes need none.

pub use admission::{
    Admission, Admitted, Announcement, Control, Dropped, End, Event, Journal, Local, Origin,
    Record, Refusal, Replay, Rules, Seen, Timeouts, Usage, View,
};
pub use routes::{Destination, FlowId, Key, RouteChange, Routes, RoutesReader, Slot};
pub use search::{Search, Shown};
pub use spi::{Spi, SpiCandidates};

mod admission;
pub mod chunks;
mod retained;
mod routes;
mod search;
mod spi;

use std::net::SocketAddr;

/// One of the two ends of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The PCoIP client, which connects to the gateway.
    Client,
    /// The PCoIP agent, to which the gateway connects.
    Agent,
}

impl Side {
    /// The client and the agent.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Agent];

    /// The agent for the client, and the client for the agent.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Agent,
            Self::Agent => Self::Client,
        }
    }
}

/// The canonical form in which the rules compare addresses: IPv4-mapped IPv6 addresses become IPv4,
/// and the flow label of IPv6 is cleared.
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(mut v6) if v6.ip().to_ipv4_mapped().is_none() => {
            v6.set_flowinfo(0);
            SocketAddr::V6(v6)
        }
        other => SocketAddr::new(other.ip().to_canonical(), other.port()),
    }
}
