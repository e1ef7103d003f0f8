//! How a Connection Manager announces a session to a Security Gateway: `pcoip-sg` messages, and the
//! claims of the token that every announcement comes with.
//!
//! The two `add-connection` messages have the observed shapes. The refusal, the transport
//! (`POST /pcoip-sg/xml`, `Authorization: Bearer …`) and the token are ours.

pub use claims::{Claims, ClaimsError, TokenId};
pub use closed::connection_closed;
pub use message::{AddConnection, MessageError, Reply, SG_SNI};
pub use replays::{ReplayError, Replays};

mod claims;
mod closed;
mod message;
mod replays;

/// Where a gateway takes announcements.
pub const PATH: &str = "/pcoip-sg/xml";

/// Where a gateway's host says whether the gateway takes sessions, apart from all else there.
pub const HEALTH: &str = "/pcoip-sg/health";

/// Where clients reach a gateway, TCP and UDP.
pub const PORT: u16 = 4172;

/// What an announcement and its reply are sent as.
pub const CONTENT_TYPE: &str = "application/xml";

/// No announcement or reply is larger: a tag of the largest size, every character written as a
/// reference, and what stands around it.
pub const MAX_BYTES: usize = 32 * 1024;
