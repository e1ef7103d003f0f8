//! The values that the admission is told, and those that it tells.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::super::Slot;
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time};

/// What the rules are told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Sessions at once, announced ones included: each was promised a place.
    pub max_connections: u32,
    /// How long anything may take.
    pub timeouts: Timeouts,
}

/// How long anything may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// An announced session until it is used.
    pub announced: Duration,
    /// A session without a control connection.
    pub resume: Duration,
    /// A silent flow whose control connection is gone.
    pub udp_idle: Duration,
}

/// An announcement whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The session log id.
    pub id: SessionId,
    /// What the Connection Manager calls the session, where it said so.
    pub key: Option<SessionKey>,
    /// Where the agent is, canonical.
    pub agent: SocketAddr,
    /// The agent's name, where it was told.
    pub hostname: Option<Hostname>,
    /// Digest of the tag that the client will show.
    pub tag: TagDigest,
    /// When it was signed.
    pub issued: Time,
}

/// By what announcements of one session are known. Users choose their session log ids, so an id is
/// only that of an announcement without a key.
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
    /// There are as many sessions as there may be.
    #[error("the session limit of the gateway is reached")]
    Full,
    /// The key, the id or the tag is that of a session which this is not.
    #[error("the announcement contradicts a session that the gateway has")]
    Conflict,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
}

/// A control connection. Where the session has another one or none, the handle means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Control {
    /// The session's place.
    pub slot: Slot,
    /// No two control connections have the same.
    pub number: u64,
}

/// Where a client comes from and where it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its address.
    pub from: IpAddr,
    /// The own address that it connected to, where the system would answer it from another one.
    pub at: Option<IpAddr>,
}

/// A client that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// Its control connection.
    pub control: Control,
    /// The session log id.
    pub id: SessionId,
    /// Where it is led to.
    pub agent: SocketAddr,
    /// The agent's name, where it was told.
    pub hostname: Option<Hostname>,
}

/// What went through a flow, as it is counted where datagrams are forwarded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many datagrams.
    pub datagrams: u64,
    /// The sequence number of the last one.
    pub sequence: Option<u32>,
}

/// Why a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// It belongs to no session, or its session's client is elsewhere.
    Unknown,
    /// It may belong to more than one.
    Ambiguous,
    /// Its session's client sent no datagram so far, so nobody knows where it expects them.
    NoDestination,
}

/// Something that the owner has to do or may tell, beside the routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A place belongs to a new session, whose counters begin.
    Opened(Slot, SessionId),
    /// This control connection has no session any more and is to be closed.
    Close(Control),
    /// A session ended and left its place.
    Ended(Slot, SessionId, End),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was announced, and nobody came.
    Unused,
    /// Its control connection was not resumed, and its client fell silent.
    ResumeTimeout,
    /// A newer announcement took its id or its tag.
    Superseded,
}

impl End {
    /// The reason, as it stands in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unused => "unused",
            Self::ResumeTimeout => "resume timeout",
            Self::Superseded => "superseded",
        }
    }
}

/// One session, as it may be shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Its place.
    pub slot: Slot,
    /// The session log id.
    pub id: &'a SessionId,
    /// `announced`, `connected` or `waiting`.
    pub state: &'static str,
    /// Where its client is.
    pub client: Option<IpAddr>,
    /// Where its agent is.
    pub agent: SocketAddr,
}
