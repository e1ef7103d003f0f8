//! How a Connection Manager announces a session to a Security Gateway: `pcoip-sg` messages, and the
//! claims of the token that each announcement has. Other gateways get a grant of the session.
//!
//! The two `add-connection` messages are those of the vendor's product. This project defines the
//! refusal, the transport (`POST /pcoip-sg/xml`, `Authorization: Bearer …`) and the token: see
//! `docs/protocol/control.md`.

pub use claims::{Claims, ClaimsError, TokenId};
pub use closed::connection_closed;
pub use grant::{GRANT_CONTENT_TYPE, GRANT_HEADER, GRANT_PATH, GrantClaims, GrantClaimsError};
pub use health::Offer;
pub use message::{AddConnection, MessageError, Reply, SG_SNI};
pub use replays::{ReplayError, Replays};

mod claims;
mod closed;
mod grant;
mod health;
mod message;
mod replays;

/// HTTPS path that accepts announcements.
pub const PATH: &str = "/pcoip-sg/xml";

/// HTTPS path that reports whether the gateway of this host accepts sessions, regardless of the
/// other services.
pub const HEALTH: &str = "/pcoip-sg/health";

/// Default port of a gateway for clients, TCP and UDP.
pub const PORT: u16 = 4172;

/// `Content-Type` of announcements and their responses.
pub const CONTENT_TYPE: &str = "application/xml";

/// Maximum size in bytes of an announcement or its response: a tag of maximum size, with each
/// character written as a reference, plus the other elements.
pub const MAX_BYTES: usize = 32 * 1024;
