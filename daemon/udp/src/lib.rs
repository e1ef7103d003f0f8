//! Receives and sends UDP datagrams in *trains*: consecutive datagrams of one sender and one size, of
//! which the last one may be shorter. The kernel receives and sends a train like a single datagram
//! (`UDP_GRO` and `UDP_SEGMENT`, see `udp(7)`), and one system call transfers many of them.
//!
//! [`Batch`] receives trains, [`Outbox`] sends parts of them to other addresses. In between, no
//! datagram is copied.

pub use batch::{Batch, Train};
pub use filter::SourceFilter;
pub use outbox::{Outbox, Part, Report, Sent, Target};
pub use socket::Socket;
pub use system::release_memory;

mod batch;
mod filter;
mod outbox;
mod singly;
mod socket;
mod system;
#[cfg(test)]
mod tests;
