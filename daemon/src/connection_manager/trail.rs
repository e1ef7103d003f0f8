//! What every line of the session log is marked with, and the classes that its parsers know.

use cmsg_proto::SessionId;

pub(super) use crate::logs::as_error;

/// What faces the client.
pub(super) const CLIENT: &str = "PCoIPClientHttpsServlet";
/// What faces the broker.
pub(super) const BROKER: &str = "PCoIPBrokerHttpsConnectionImpl";
/// What faces agents.
pub(super) const AGENT: &str = "PCoIPAgent";
/// What faces gateways.
pub(super) const GATEWAY: &str = "SecurityGateway";

/// To what an event belongs.
#[derive(Debug, Clone)]
pub(super) struct Trail {
    /// The session log id.
    pub(super) session: Option<SessionId>,
    /// The session's number.
    pub(super) number: Option<u64>,
    /// The connection's number.
    pub(super) connection: u64,
}

/// Logs a line of a session: `told!(info, trail, CLASS, "…")`.
macro_rules! told {
    ($level:ident, $trail:expr, $class:expr, $($message:tt)+) => {
        tracing::$level!(
            target: $class,
            session = $trail.session.as_ref().map(tracing::field::display),
            s = $trail.number,
            c = $trail.connection,
            $($message)+
        )
    };
}

pub(super) use told;
