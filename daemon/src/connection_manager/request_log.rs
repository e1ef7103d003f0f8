//! The columns of every line of the session log, and the classes that parsers know.

use std::net::IpAddr;

use cmsg_proto::SessionId;

pub(super) use crate::logs::as_error;

/// Class of lines about clients.
pub(super) const CLIENT: &str = "PCoIPConnectionManagerPBPServlet";
/// Class of lines about the broker.
pub(super) const BROKER: &str = "PCoIPBrokerHttpsConnectionImpl";
/// Class of lines about agents.
pub(super) const AGENT: &str = "PCoIPAgent";
/// Class of lines about gateways.
pub(super) const GATEWAY: &str = crate::logs::GATEWAY;

/// The columns of a line.
#[derive(Debug, Clone)]
pub(super) struct RequestLog {
    pub(super) session: Option<SessionId>,
    pub(super) number: Option<u64>,
    pub(super) connection: u64,
    pub(super) client: IpAddr,
}

/// Logs a line of a session: `record!(info, log, CLASS, "…")`. A warning contains the client's
/// address, since it may be the only line that an administrator reads. The address comes before
/// text of peers, so that they cannot forge it.
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

/// Logs a headline that parsers read, and at TRACE the document that belongs to it: `document!(log,
/// CLASS, masked, "…")`. `masked` is only called if the document is logged.
macro_rules! document {
    ($log:expr, $class:expr, $masked:expr, $($message:tt)+) => {
        record!(info, $log, $class, document = %$crate::logs::Document($masked), $($message)+)
    };
}

pub(super) use {document, record};
