//! What every line of the session log is marked with, and the classes that its parsers know.

use std::net::IpAddr;

use cmsg_proto::SessionId;

pub(super) use crate::logs::as_error;

/// What faces the client.
pub(super) const CLIENT: &str = "PCoIPConnectionManagerPBPServlet";
/// What faces the broker.
pub(super) const BROKER: &str = "PCoIPBrokerHttpsConnectionImpl";
/// What faces agents.
pub(super) const AGENT: &str = "PCoIPAgent";
/// What faces gateways.
pub(super) const GATEWAY: &str = crate::logs::GATEWAY;

/// To what an event belongs.
#[derive(Debug, Clone)]
pub(super) struct RequestLog {
    /// The session log id.
    pub(super) session: Option<SessionId>,
    /// The session's number.
    pub(super) number: Option<u64>,
    /// The connection's number.
    pub(super) connection: u64,
    /// The client's address.
    pub(super) client: IpAddr,
}

/// Logs a line of a session: `record!(info, log, CLASS, "…")`. A warning names the client, since it
/// may be all that an administrator looks at; in front of what peers say, so that none can forge it.
macro_rules! record {
    (warn, $log:expr, $class:expr, $($message:tt)+) => {
        tracing::warn!(
            target: $class,
            session = $log.session.as_ref().map(tracing::field::display),
            s = $log.number,
            c = $log.connection,
            client = %$log.client,
            $($message)+
        )
    };
    ($level:ident, $log:expr, $class:expr, $($message:tt)+) => {
        tracing::$level!(
            target: $class,
            session = $log.session.as_ref().map(tracing::field::display),
            s = $log.number,
            c = $log.connection,
            $($message)+
        )
    };
}

/// Logs a headline that parsers read, and at TRACE the document that belongs to it:
/// `document!(log, CLASS, masked, "…")`. Where the document is not logged `masked` is not called.
macro_rules! document {
    ($log:expr, $class:expr, $masked:expr, $($message:tt)+) => {
        record!(info, $log, $class, document = %$crate::logs::Document($masked), $($message)+)
    };
}

pub(super) use {document, record};
