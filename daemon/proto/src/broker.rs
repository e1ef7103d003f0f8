//! The broker protocol: what passes between a client, the Connection Manager and the connection
//! broker. Documents are forwarded as they are but for the few places that are the Connection
//! Manager's, so elements that nobody here knows reach the other side untouched.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::xml::{self, Document, Element, leaf};

pub use self::cookie::{BadCookie, BrokerCookies, ClientCookie, NotKept, SetCookies};
pub use refusal::{AGENT_FAILURE, Refusal, agent_failure};
pub use request::{Allocation, Authenticate, Hello, Logon, Request, RequestKind};
pub use response::{Authentication, BrokerTarget, ClientTarget, Response, ResponseKind};

mod cookie;
pub mod redact;
mod refusal;
mod request;
mod response;
pub mod session;

/// The root between a client and the Connection Manager.
const CLIENT_ROOT: &str = "pcoip-client";

/// The root between the Connection Manager and the broker.
const BROKER_ROOT: &str = "pcoip-broker";

/// The longest name of a message; the longest known one has 22 bytes.
const MAX_NAME: usize = 64;

/// A version of the protocol, kept as its sender wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

/// Why a document is no message of the broker protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is no XML that is taken.
    #[error(transparent)]
    Xml(#[from] xml::Error),
    /// The outermost element is another protocol's.
    #[error("the root is not `{expected}`")]
    Root {
        /// What it should be.
        expected: &'static str,
    },
    /// The version is missing, or is no version.
    #[error("the protocol version is missing or malformed")]
    Version,
    /// The root does not have exactly one element.
    #[error("the document has {count} messages")]
    Messages {
        /// How many it has.
        count: usize,
    },
    /// The message's name is longer than any.
    #[error("the message's name has more than {MAX_NAME} bytes")]
    Name,
    /// The broker granted a resource without saying where it is.
    #[error("the broker granted a resource without a usable target")]
    Target,
}

/// What the Connection Manager tells of itself, to the broker and to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcmInfo {
    /// Its version.
    pub product_version: String,
    /// The address at which the client reached it.
    pub ip_address: String,
    /// Its host's name.
    pub hostname: String,
}

impl Version {
    /// What every known client and broker speaks.
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

/// The one message of a document whose root is one of these.
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

/// An owned text, `None` where it is missing or blank.
fn owned(element: Option<&Element<'_>>, name: &str) -> Option<String> {
    element.and_then(|e| e.child_text(name)).map(str::to_owned)
}
