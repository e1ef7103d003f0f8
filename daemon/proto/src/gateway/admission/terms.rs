//! Input and output values of the admission.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::super::Slot;
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time};

/// The configuration of the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// `MaxConnections`: includes announced sessions, since each of them must be admitted.
    pub max_connections: u32,
    /// Deadlines of sessions and flows.
    pub timeouts: Timeouts,
}

/// Deadlines of sessions and flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until an announced session must be connected.
    pub announced: Duration,
    /// Until a session without a control connection ends.
    pub resume: Duration,
    /// Until a silent flow without a control connection ends.
    pub udp_idle: Duration,
}

/// An announcement whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The session log id.
    pub id: SessionId,
    /// The Connection Manager's key of the session. `None` from earlier versions.
    pub key: Option<SessionKey>,
    /// Address of the agent, canonical.
    pub agent: SocketAddr,
    /// Host name of the agent, for TLS.
    pub hostname: Option<Hostname>,
    /// Digest of the tag that the client will send.
    pub tag: TagDigest,
    /// `iat` of the token (RFC 7519), with a resolution of one second.
    pub issued: Time,
}

/// What identifies a session across announcements. Clients choose their session log ids, so an id
/// only identifies sessions without a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    Key(SessionKey),
    Id(SessionId),
}

impl Identity {
    pub(super) fn of(id: &SessionId, key: Option<SessionKey>) -> Self {
        key.map_or_else(|| Self::Id(id.clone()), Self::Key)
    }
}

/// Why an announcement is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `max_connections` is reached.
    #[error("the session limit of the gateway is reached")]
    Full,
    /// Its key, id or tag belongs to a different session.
    #[error("the announcement contradicts a session that the gateway has")]
    Conflict,
    /// The announcement is a replay of a session that has ended.
    #[error("the session has ended")]
    Ended,
}

/// A control connection. The handle is ignored if the session has another connection, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Control {
    /// Slot of the session.
    pub slot: Slot,
    /// Unique number of the control connection.
    pub number: u64,
}

/// The source of a datagram, and the local address that it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Source address, canonical.
    pub from: SocketAddr,
    /// The local address, on a socket that receives datagrams to several.
    pub local: Option<Local>,
}

/// A local address to which a client sends datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// The address.
    pub at: IpAddr,
    /// Whether the system would send replies from it.
    pub is_usual: bool,
}

/// What the gateway needs to connect an admitted client to its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The handle for [`super::Admission::observe`] and [`super::Admission::control_closed`].
    pub control: Control,
    /// The session log id.
    pub id: SessionId,
    /// Address of the agent to connect to.
    pub agent: SocketAddr,
    /// Host name of the agent, if announced.
    pub hostname: Option<Hostname>,
}

/// The counters of a flow, which the forwarding workers update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Number of datagrams so far. The counter of a slot never decreases.
    pub datagrams: u64,
    /// Sequence number of the latest datagram (RFC 4303, section 2.2); `None` if its SPI is a
    /// guess.
    pub sequence: Option<u32>,
}

/// Why a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It belongs to no session, or the session's client has another address.
    Unknown,
    /// It matches more than one session.
    Ambiguous,
    /// It is for a client that has not sent a datagram yet, so its UDP port is unknown.
    NoDestination,
}

/// A change that the owner must act on, besides the routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A session was added; its counters start at zero.
    Opened(Slot, SessionId),
    /// The control connection no longer has a session, and must be closed.
    Close(Control),
    /// A session was taken over from another gateway; its counters start at zero.
    TakenOver(Slot, SessionId),
    /// Another gateway serves the session now, and its slot is free.
    Moved(Slot, SessionId),
    /// A session ended, and its slot is free.
    Ended(Slot, SessionId, End),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was announced, and no client connected in time.
    Unused,
    /// Its control connection was not resumed in time, and the client sent no datagrams.
    ResumeTimeout,
    /// A newer announcement replaced it.
    Superseded,
}

impl End {
    /// The reason as it is logged.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::ResumeTimeout => "resume timeout",
            Self::Superseded => "superseded",
        }
    }
}

/// A session, for the status.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Slot of the session.
    pub slot: Slot,
    /// The session log id.
    pub id: &'a SessionId,
    /// `announced`, `connected` or `waiting`.
    pub state: &'static str,
    /// IP address of the client.
    pub client: Option<IpAddr>,
    /// Address of the agent.
    pub agent: SocketAddr,
}
