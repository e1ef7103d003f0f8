//! What the benchmark asks its workers to do, as lines of JSON.

use serde::{Deserialize, Serialize};

use super::wire::Relay;

/// To a worker, which answers each with a [`Reply`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Get ready for sessions of a relay.
    Know(Relay),
    /// Set up the sessions `first` to `last`; only for clients.
    SetUp { relay: u8, first: u32, last: u32 },
    /// Announce sessions one after the other, without connecting; only for clients.
    Announce { relay: u8, first: u32, last: u32 },
    /// Begin and end sessions while datagrams are sent; only for clients.
    Turnover(Turnover),
    /// Wait until [`Order::Turnover`] is done.
    AwaitTurnover,
    /// End these sessions by closing their control connections; only for clients.
    Hangup { relay: u8, first: u32, last: u32 },
    /// Connect by TLS for [`Order::Stream`], without a session; only for clients.
    Connect { relay: u8 },
    /// Send and receive datagrams.
    Run(Run),
    /// Receive blocks by TLS; only for clients.
    Stream { relay: u8, block: u32, millis: u32 },
    /// Send unknown datagrams; only for the flood.
    Flood(Flood),
}

/// A measurement with datagrams.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) relay: u8,
    /// Number of the measurement.
    pub(super) number: u16,
    /// So many sessions are used in turn, from this one.
    pub(super) first: u32,
    pub(super) sessions: u32,
    /// Datagrams a session sends at once.
    pub(super) burst: u32,
    /// Datagrams a second that this worker sends, over all sessions.
    pub(super) per_second: f64,
    pub(super) time: Span,
    /// Sends bursts by segmentation and receives them merged, to unload the generator's CPU. They
    /// are single packets between.
    pub(super) trains: bool,
}

/// Sessions that begin and end at a constant rate over a time.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Turnover {
    pub(super) relay: u8,
    /// The first session to end, and the first one to begin.
    pub(super) ending: u32,
    pub(super) beginning: u32,
    /// How many end, and how many begin.
    pub(super) sessions: u32,
    pub(super) time: Span,
}

/// A time on the monotonic clock, in nanoseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) until: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Flood {
    pub(super) per_second: f64,
    pub(super) time: Span,
    /// Hardware address that the datagrams are sent to.
    pub(super) hardware: [u8; 6],
    pub(super) port: u16,
}

/// From a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reply {
    Done,
    Counted(Counted),
    /// Bytes received by [`Order::Stream`], and nanoseconds that it took.
    Streamed {
        bytes: u64,
        nanos: u64,
    },
    /// Microseconds that each announcement took, and that each sync of the same disk took.
    Announced {
        announced: Vec<u32>,
        synced: Vec<u32>,
    },
    Failed(String),
}

/// The datagrams of a run.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Arrived at another session's address, from an unexpected one, or damaged. Since the last
    /// run.
    pub(super) wrong: u64,
    /// Nanoseconds on the way.
    pub(super) p50: Option<u32>,
    pub(super) p99: Option<u32>,
    /// Hellos and welcomes of this relay, since the start.
    pub(super) greetings: u64,
}
