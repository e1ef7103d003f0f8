//! Responses of the broker, and how they are forwarded to the client.

use std::net::IpAddr;

use super::{
    BROKER_ROOT, CLIENT_ROOT, Invalid, PcmInfo, RequestKind, Version, message, owned, redact,
};
use crate::{
    Hostname, SessionTag, control,
    xml::{Document, Edits, Element, Error, MAX_BYTES, MAX_OUTLINE_BYTES, leaf},
};

/// A response of the broker.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    document: Document<'a>,
    kind: ResponseKind,
    version: Version,
}

/// The kind of a response, with what the Connection Manager needs to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseKind {
    /// `hello-resp`: the session is open.
    Hello,
    /// `authenticate-resp`: the result of a logon step.
    Authenticate(Authentication),
    /// `get-resource-list-resp`: the desktops of the user.
    GetResourceList,
    /// `allocate-resource-resp`: the address of the resource; `None` if it was not granted.
    AllocateResource(Option<BrokerTarget>),
    /// `bye-resp`: the session has ended.
    Bye,
    /// `error-resp`: the broker refuses the request.
    Error,
    /// Any other message, by its name; forwarded unchanged.
    Other(String),
}

/// The result of a logon step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// The user is logged on.
    Complete,
    /// The broker asks for another step.
    Incomplete,
    /// The credentials are wrong.
    Failed,
}

/// The address of a granted resource, as the broker named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerTarget {
    /// Address of the desktop.
    pub ip_address: Option<IpAddr>,
    /// Host name of the desktop.
    pub hostname: Option<String>,
    /// TCP and UDP port of the agent; 4172 by default.
    pub port: u16,
}

/// Where a client connects for its session, and what it sends there.
#[derive(Debug, Clone)]
pub struct ClientTarget {
    /// Public address of the gateway, or the agent's address without a gateway.
    pub ip_address: IpAddr,
    /// Host name of the desktop, as the broker named it.
    pub hostname: Option<String>,
    /// Server name that the client sends in its TLS handshake.
    pub sni: Option<String>,
    /// TCP and UDP port.
    pub port: u16,
    /// Number of the session at the agent.
    pub session_id: u64,
    /// The tag by which gateway and agent recognize the session.
    pub connect_tag: SessionTag,
}

impl BrokerTarget {
    /// Parses the target of a granted resource. An unusable address or name counts as missing if
    /// the other one is usable.
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

    /// The host to contact: the name, else the address.
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

    /// Name of the element.
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

    /// Whether this is a response to that request; `error-resp` responds to any.
    #[must_use]
    pub fn answers(&self, request: &RequestKind) -> bool {
        *self == Self::Error || self.name().strip_suffix("-resp") == Some(request.name())
    }
}

impl<'a> Response<'a> {
    /// Parses a response of the broker. Brokers that replace a Connection Manager respond with the
    /// client's root element, which is accepted too.
    ///
    /// # Errors
    ///
    /// [`Invalid`], including for a response larger than [`MAX_BYTES`] that is not a list of
    /// resources.
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

    /// Maximum size in bytes of the response to that request.
    #[must_use]
    pub fn limit(request: &RequestKind) -> usize {
        match request {
            RequestKind::GetResourceList => MAX_OUTLINE_BYTES,
            _ => MAX_BYTES,
        }
    }

    /// The kind of the response.
    #[must_use]
    pub fn kind(&self) -> &ResponseKind {
        &self.kind
    }

    /// The `result-id`, at most 64 characters, if the broker did not grant the request.
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

    /// The protocol version of the broker.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The response for the client: with the client's root element, and in a `hello-resp` also with
    /// `pcm-info`.
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

    /// The response that grants a resource, with the address to which the client must connect.
    #[must_use]
    pub fn to_client_at(&self, target: &ClientTarget) -> String {
        let mut edits = self.rooted();
        let granted = self.document.root().children().first();
        if let Some(theirs) = granted.and_then(|message| message.child("target")) {
            edits.replace(theirs.span(), target.xml());
        }
        edits.apply(&self.document)
    }

    /// The response for the log, with secrets masked.
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

/// Longer than any known `result-id`, in characters.
const MAX_RESULT: usize = 64;

#[cfg(test)]
mod tests;
