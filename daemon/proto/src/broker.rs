//! The broker protocol between client, Connection Manager and connection broker. Documents are
//! forwarded unchanged, except for the few elements that the Connection Manager sets. Unknown
//! elements therefore reach the other side.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::xml::{self, Document, Element, leaf};

pub use self::cookie::{BadCookie, BrokerCookies, ClientCookie, NotKept, SetCookies};
pub use refusal::{AGENT_FAILURE, Refusal, agent_failure, banned};
pub use request::{Allocation, Authenticate, Hello, Logon, Request, RequestKind};
pub use response::{Authentication, BrokerTarget, ClientTarget, Response, ResponseKind};

mod cookie;
pub mod logons;
pub mod redact;
mod refusal;
mod request;
mod response;
pub mod session;

/// Root element between client and Connection Manager.
const CLIENT_ROOT: &str = "pcoip-client";

/// Root element between Connection Manager and broker.
const BROKER_ROOT: &str = "pcoip-broker";

/// Longest name of a message; the longest known one has 22 bytes.
const MAX_NAME: usize = 64;

/// A protocol version, exactly as its sender wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

/// Why a document is not a message of the broker protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The XML is invalid or exceeds a limit.
    #[error(transparent)]
    Xml(#[from] xml::Error),
    /// The root element belongs to another protocol.
    #[error("the root is not `{expected}`")]
    Root {
        /// Name of the expected root element.
        expected: &'static str,
    },
    /// The `version` attribute of the root is missing or malformed.
    #[error("the protocol version is missing or malformed")]
    Version,
    /// The root does not have exactly one child element.
    #[error("the document has {count} messages")]
    Messages {
        /// Number of child elements.
        count: usize,
    },
    /// The name of the message is longer than 64 bytes.
    #[error("the message's name is longer than {MAX_NAME} bytes")]
    Name,
    /// The broker granted a resource without a usable address or host name.
    #[error("the broker granted a resource without a usable target")]
    Target,
}

/// The `pcm-info` element, by which the Connection Manager introduces itself to the broker and to
/// clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcmInfo {
    /// Version of this product.
    pub product_version: String,
    /// Address to which the client connected, or that of `HostAddress`.
    pub ip_address: String,
    /// Host name, or that of `HostAddress`.
    pub hostname: String,
}

impl Version {
    /// The version that all known clients and brokers support.
    #[must_use]
    pub fn usual() -> Self {
        Self("2.1".to_owned())
    }
}

impl TryFrom<String> for Version {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        let fits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if fits && (1..=16).contains(&text.len()) { Ok(Self(text)) } else { Err(Invalid::Version) }
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PcmInfo {
    fn xml(&self) -> String {
        let fields = [
            ("product-name", "PCoIP Connection Manager"),
            ("product-version", &self.product_version),
            ("platform", "GNU/Linux x86_64"),
            ("ip-address", &self.ip_address),
            ("hostname", &self.hostname),
        ];
        let fields: String = fields.iter().map(|(name, text)| leaf(name, text)).collect();
        format!("<pcm-info>{fields}</pcm-info>")
    }
}

/// The only message of a document with one of these roots.
fn message<'d, 'a>(document: &'d Document<'a>, roots: &[&'static str]) -> Taken<'d, 'a> {
    let root = document.root();
    if !roots.contains(&root.name()) {
        return Err(Invalid::Root { expected: roots[0] });
    }
    let version = root.attribute("version").ok_or(Invalid::Version)?;
    let version = Version::try_from(version.to_owned())?;
    match root.children() {
        [message] if message.name().len() > MAX_NAME => Err(Invalid::Name),
        [message] => Ok((version, message)),
        several => Err(Invalid::Messages { count: several.len() }),
    }
}

type Taken<'d, 'a> = Result<(Version, &'d Element<'a>), Invalid>;

/// An owned copy of the text; `None` if it is missing or blank.
fn owned(element: Option<&Element<'_>>, name: &str) -> Option<String> {
    element.and_then(|e| e.child_text(name)).map(str::to_owned)
}
