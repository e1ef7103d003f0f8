//! The rules of the Security Gateway: whom it lets through, and where every datagram goes.
//!
//! [`Admission`] has one owner and decides; what it decides comes out as [`RouteChange`]s of [`Routes`],
//! which any number of workers read. It does not depend on the layout of the control channel, which
//! is only probable: [`chunks`] is tried, [`Search`] and the retained bytes do without.

pub use admission::{
    Admission, Admitted, Announcement, Arrival, Control, Dropped, End, Event, Journal, Refusal,
    Rules, Seen, Timeouts, Unreadable, Usage, View,
};
pub use routes::{Destination, FlowId, Key, RouteChange, Routes, Slot};
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
    /// Who connects.
    Client,
    /// Whom it is led to.
    Agent,
}

impl Side {
    /// Both sides.
    pub const BOTH: [Self; 2] = [Self::Client, Self::Agent];

    /// The opposite end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Agent,
            Self::Agent => Self::Client,
        }
    }
}

/// An address as the rules compare it: IPv4 is IPv4 also where a socket for both families shows it
/// inside IPv6, and a flow label does not make another peer.
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
