//! Input and output values of the rules between gateways.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Claim, Flows, Frame, GatewayId};
use crate::{Hostname, SessionId, SessionKey, TagDigest, Time, gateway::Spi};

/// What the Connection Manager grants to every gateway: the session may be served if its client
/// comes here. The signature was verified, and the agent is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The Connection Manager's key of the session.
    pub key: SessionKey,
    /// The session log id.
    pub id: SessionId,
    /// Address of the agent, canonical.
    pub agent: SocketAddr,
    /// Host name of the agent, for TLS.
    pub hostname: Option<Hostname>,
    /// Digest of the tag that the client will send.
    pub tag: TagDigest,
    /// When it was issued, with a resolution of one second.
    pub issued: Time,
    /// When it expires: at most [`Grant::VALID`] later.
    pub expires: Time,
    /// The signed token, to be passed on to other gateways.
    pub token: Box<str>,
}

impl Grant {
    /// How long a grant is valid.
    pub const VALID: Duration = Duration::from_hours(30 * 24);

    /// Maximum size of the signed token in bytes.
    pub const MAX_BYTES: usize = 1536;

    /// Whether the other grant is for the same tag and agent.
    pub(super) fn is_for_same(&self, other: &Self) -> bool {
        self.tag == other.tag && self.agent == other.agent
    }
}

/// The configuration of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The id of this gateway.
    pub id: GatewayId,
    /// The ids of its peers.
    pub peers: BTreeSet<GatewayId>,
    /// Addresses of clients' datagrams that another gateway may take over.
    pub shared: BTreeSet<IpAddr>,
    /// `MaxStandby`: the number of granted sessions that this gateway doesn't serve.
    pub max_standby: usize,
    /// The number of sessions and ended sessions. Each session has room for its end.
    pub max_remembered: usize,
}

/// Why a grant is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `max_standby` or `max_remembered` is reached.
    #[error("the limit of granted sessions is reached")]
    Full,
    /// Its key or tag belongs to another session.
    #[error("the grant contradicts a session that the gateway has")]
    Conflict,
    /// A later grant for the same tag replaced it.
    #[error("a later grant for the same session tag exists")]
    Superseded,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// It has expired.
    #[error("the grant has expired")]
    Expired,
}

/// What this gateway must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a frame.
    Send(Recipient, Frame),
    /// Serve this session, with these flows and no others: nothing is guessed. The session counts
    /// towards `max_connections`, but is never refused.
    TakeOver(Grant, Flows),
    /// Stop serving this session. It has not ended.
    HandOver(SessionKey),
    /// End this session: a later grant replaced it.
    End(SessionKey),
    /// Something to log.
    Report(Fact),
}

/// The recipient of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// Every peer.
    All,
    /// One peer.
    Peer(GatewayId),
}

/// Something to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A session is served by another gateway than before.
    Moved(SessionId, Claim, Why),
    /// The peer claimed this session with a term that is too high.
    TermTooHigh(SessionId, Claim),
    /// The peer has restarted.
    Restarted(GatewayId),
}

/// Why a session is served by a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The Connection Manager announced it to this gateway.
    Announced,
    /// Its client sent the tag to this gateway.
    Tag,
    /// Its client's datagrams came to this gateway.
    Datagram,
    /// A peer claimed it.
    Claimed,
    /// A peer claimed it while this gateway heard its client.
    Kept,
}

/// What happens to a datagram that has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to this session because of this SPI, and is sent to this address.
    Relay(SessionKey, Spi, SocketAddr),
    /// It may belong to this session, which has had a control connection here: `Admission` decides.
    /// With an SPI, it is a datagram of a replicated flow.
    Admitted(SessionKey, Option<Spi>),
    /// It is dropped.
    Drop(Dropped),
}

/// Why a datagram is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// No flow of a granted session matches. It may belong to a session without a grant.
    Unknown,
    /// It matches more than one session.
    Ambiguous,
    /// Another gateway serves the session, or it came to an address that is not shared.
    Elsewhere,
    /// The client has another source.
    OtherSource,
}

/// A session, for the status.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The grant.
    pub grant: &'a Grant,
    /// The gateway that serves it, as far as known.
    pub claim: Option<Claim>,
    /// Whether this gateway serves it.
    pub is_served: bool,
    /// Whether the serving gateway reports that the client is silent.
    pub is_silent: bool,
    /// Its flows.
    pub flows: &'a Flows,
    /// When and why it last moved, since this gateway started.
    pub moved: Option<(Time, Why)>,
}
