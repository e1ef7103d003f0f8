//! Counts bytes and datagrams in each direction.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    ToAgent,
    ToClient,
}

/// Counts while a simulator runs.
#[derive(Debug, Default)]
pub struct Traffic {
    to_agent: Counters,
    to_client: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    tcp_bytes: AtomicU64,
    udp_datagrams: AtomicU64,
    udp_bytes: AtomicU64,
}

/// Bytes of the control connections, without TLS, and datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Bytes of the control connections.
    pub tcp: BothWays<u64>,
    /// Datagrams of the data channel.
    pub udp: BothWays<Datagrams>,
}

/// One figure for each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BothWays<T> {
    /// From the client to the agent.
    pub to_agent: T,
    /// From the agent to the client.
    pub to_client: T,
}

/// How many datagrams went one way, and how many bytes were in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Datagrams {
    pub datagrams: u64,
    /// Their bytes, without the headers of UDP and below.
    pub bytes: u64,
}

impl Direction {
    /// Returns the other way.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::ToAgent => Self::ToClient,
            Self::ToClient => Self::ToAgent,
        }
    }
}

impl Traffic {
    /// Counts bytes of a control connection.
    pub(crate) fn count_control(&self, direction: Direction, bytes: usize) {
        self.counters(direction).tcp_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_datagram(&self, direction: Direction, bytes: usize) {
        let counters = self.counters(direction);
        counters.udp_datagrams.fetch_add(1, Ordering::Relaxed);
        counters.udp_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let (to_agent, to_client) = (&self.to_agent, &self.to_client);
        Totals {
            tcp: BothWays { to_agent: to_agent.control(), to_client: to_client.control() },
            udp: BothWays { to_agent: to_agent.datagrams(), to_client: to_client.datagrams() },
        }
    }

    fn counters(&self, direction: Direction) -> &Counters {
        match direction {
            Direction::ToAgent => &self.to_agent,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl Counters {
    fn control(&self) -> u64 {
        self.tcp_bytes.load(Ordering::Relaxed)
    }

    fn datagrams(&self) -> Datagrams {
        Datagrams {
            datagrams: self.udp_datagrams.load(Ordering::Relaxed),
            bytes: self.udp_bytes.load(Ordering::Relaxed),
        }
    }
}
