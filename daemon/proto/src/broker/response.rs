//! What the broker answers, and how it is passed on to the client.

use std::net::IpAddr;

use super::{
    BROKER_ROOT, CLIENT_ROOT, Invalid, PcmInfo, RequestKind, Version, message, owned, redact,
};
use crate::{
    Hostname, SessionTag, control,
    xml::{Document, Edits, Element, Error, MAX_BYTES, MAX_OUTLINE_BYTES, leaf},
};

/// An answer of the broker.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    document: Document<'a>,
    kind: ResponseKind,
    version: Version,
}

/// What is answered, with what the Connection Manager needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseKind {
    /// The session is open.
    Hello,
    /// How a step of logging on ended.
    Authenticate(Authentication),
    /// The resources.
    GetResourceList,
    /// Where the resource is; `None` where it was not granted.
    AllocateResource(Option<BrokerTarget>),
    /// The session is over.
    Bye,
    /// The broker refuses with its own `error-resp`.
    Error,
    /// An answer that only client and broker understand.
    Other(String),
}

/// How a step of logging on ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// The user is logged on.
    Complete,
    /// A further step is wanted.
    Incomplete,
    /// Not with these.
    Failed,
}

/// Where a granted resource is, in the broker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerTarget {
    /// The desktop's address.
    pub ip_address: Option<IpAddr>,
    /// The desktop's name.
    pub hostname: Option<String>,
    /// The port of the desktop's session, TCP and UDP.
    pub port: u16,
}

/// Where a client connects and what it shows there.
#[derive(Debug, Clone)]
pub struct ClientTarget {
    /// The gateway's public address, or the agent's.
    pub ip_address: IpAddr,
    /// The desktop's name as the broker wrote it.
    pub hostname: Option<String>,
    /// The server name of the TLS connection.
    pub sni: Option<String>,
    /// TCP and UDP port.
    pub port: u16,
    /// The agent's number of the session.
    pub session_id: u64,
    /// What identifies the session at the gateway and at the agent.
    pub connect_tag: SessionTag,
}

impl BrokerTarget {
    /// Reads the target of a granted resource. An address or a name that is neither counts as
    /// missing where the other one can be used.
    fn of(message: &Element<'_>) -> Result<Self, Invalid> {
        let target = message.child("target");
        let ip_address = target.and_then(|t| t.child_text("ip-address"));
        let ip_address = ip_address.and_then(|text| text.parse().ok());
        let port = target.and_then(|t| t.child_text("port")).filter(|port| !port.is_empty());
        let port = port.map_or(Ok(control::PORT), str::parse).map_err(|_| Invalid::Target)?;
        let read = Self { ip_address, hostname: owned(target, "hostname"), port };
        if port == 0 || read.host().is_none() {
            return Err(Invalid::Target);
        }
        Ok(read)
    }

    /// How the desktop is called: by its name, else by its address.
    #[must_use]
    pub fn host(&self) -> Option<String> {
        let is_host = |text: &&String| text.parse::<Hostname>().is_ok() || is_address(text);
        let name = self.hostname.as_ref().filter(is_host).cloned();
        name.or_else(|| self.ip_address.map(|address| address.to_string()))
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

impl ClientTarget {
    fn xml(&self) -> String {
        let mut fields = leaf("ip-address", &self.ip_address.to_string());
        for (name, text) in [("hostname", &self.hostname), ("sni", &self.sni)] {
            if let Some(text) = text {
                fields.push_str(&leaf(name, text));
            }
        }
        fields.push_str(&leaf("port", &self.port.to_string()));
        fields.push_str(&leaf("session-id", &self.session_id.to_string()));
        fields.push_str(&leaf("connect-tag", self.connect_tag.expose()));
        format!("<target>{fields}</target>")
    }
}

impl ResponseKind {
    fn of(message: &Element<'_>) -> Result<Self, Invalid> {
        let result = message.child("result").and_then(|r| r.child_text("result-id"));
        Ok(match (message.name(), result) {
            ("hello-resp", _) => Self::Hello,
            ("authenticate-resp", Some("AUTH_SUCCESSFUL_AND_COMPLETE")) => {
                Self::Authenticate(Authentication::Complete)
            }
            ("authenticate-resp", Some("AUTH_SUCCESSFUL_AND_INCOMPLETE")) => {
                Self::Authenticate(Authentication::Incomplete)
            }
            ("authenticate-resp", _) => Self::Authenticate(Authentication::Failed),
            ("get-resource-list-resp", _) => Self::GetResourceList,
            ("allocate-resource-resp", Some("ALLOC_SUCCESSFUL")) => {
                Self::AllocateResource(Some(BrokerTarget::of(message)?))
            }
            ("allocate-resource-resp", _) => Self::AllocateResource(None),
            ("bye-resp", _) => Self::Bye,
            ("error-resp", _) => Self::Error,
            (other, _) => Self::Other(other.to_owned()),
        })
    }

    /// The element's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Hello => "hello-resp",
            Self::Authenticate(_) => "authenticate-resp",
            Self::GetResourceList => "get-resource-list-resp",
            Self::AllocateResource(_) => "allocate-resource-resp",
            Self::Bye => "bye-resp",
            Self::Error => "error-resp",
            Self::Other(name) => name,
        }
    }

    /// Whether this answers that request; an `error-resp` answers any.
    #[must_use]
    pub fn answers(&self, request: &RequestKind) -> bool {
        *self == Self::Error || self.name().strip_suffix("-resp") == Some(request.name())
    }
}

impl<'a> Response<'a> {
    /// Reads what the broker answered. Brokers written to stand in place of a Connection Manager
    /// answer under the client's root, which is taken as well.
    ///
    /// # Errors
    ///
    /// Where it is no answer of the broker protocol. Only a list of resources may be longer than
    /// [`MAX_BYTES`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Invalid> {
        match Document::parse(bytes, MAX_BYTES) {
            Ok(document) => Self::of(document),
            Err(error @ (Error::TooLarge { .. } | Error::TooMany { .. })) => {
                Self::of(Document::outline(bytes)?)
                    .ok()
                    .filter(|response| response.kind == ResponseKind::GetResourceList)
                    .ok_or(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn of(document: Document<'a>) -> Result<Self, Invalid> {
        let (version, message) = message(&document, &[BROKER_ROOT, CLIENT_ROOT])?;
        let kind = ResponseKind::of(message)?;
        Ok(Self { document, kind, version })
    }

    /// How many bytes the answer to that request may have.
    #[must_use]
    pub fn limit(request: &RequestKind) -> usize {
        match request {
            RequestKind::GetResourceList => MAX_OUTLINE_BYTES,
            _ => MAX_BYTES,
        }
    }

    /// What is answered.
    #[must_use]
    pub fn kind(&self) -> &ResponseKind {
        &self.kind
    }

    /// The result-id, as far as it is kept, of an answer that does not grant what was asked for.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let message = self.document.root().children().first();
        let result = message.and_then(|message| message.child("result")?.child_text("result-id"));
        let result = result.unwrap_or_default();
        let refuses = match self.kind {
            ResponseKind::Authenticate(Authentication::Failed) | ResponseKind::Error => true,
            ResponseKind::AllocateResource(None) => result != "ALLOC_PENDING_TRY_AGAIN",
            ResponseKind::GetResourceList => result != "LIST_SUCCESSFUL",
            _ => false,
        };
        refuses.then(|| result.chars().take(MAX_RESULT).collect())
    }

    /// The broker's version of the protocol.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The answer as the client gets it: under the client's root, a `hello-resp` with who we are.
    #[must_use]
    pub fn to_client(&self, pcm: &PcmInfo) -> String {
        let mut edits = self.rooted();
        if let (ResponseKind::Hello, [hello]) = (&self.kind, self.document.root().children()) {
            match hello.child("brokers-info") {
                Some(brokers) => edits.insert(brokers.span().end, pcm.xml()),
                None => edits.prepend(hello, &pcm.xml()),
            }
        }
        edits.apply(&self.document)
    }

    /// A granted resource as the client gets it: with the target that it is to connect to.
    #[must_use]
    pub fn to_client_at(&self, target: &ClientTarget) -> String {
        let mut edits = self.rooted();
        let granted = self.document.root().children().first();
        if let Some(theirs) = granted.and_then(|message| message.child("target")) {
            edits.replace(theirs.span(), target.xml());
        }
        edits.apply(&self.document)
    }

    /// The answer as it may stand in logs.
    #[must_use]
    pub fn redacted(&self) -> String {
        redact::document(&self.document)
    }

    fn rooted(&self) -> Edits {
        let mut edits = Edits::default();
        edits.rename(self.document.root(), CLIENT_ROOT);
        edits
    }
}

/// Longer than any known result-id.
const MAX_RESULT: usize = 64;

#[cfg(test)]
mod tests;
