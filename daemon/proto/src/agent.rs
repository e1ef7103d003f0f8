//! The agent protocol: one request, `launch-session`, for every allocated resource.

use std::{fmt, net::IpAddr};

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::{
    SessionId, SessionTag,
    broker::Logon,
    xml::{self, Document, Element, MAX_BYTES, declared, leaf},
};

const ROOT: &str = "pcoip-agent";
const VERSION: &str = "1.0";

/// What an agent is asked: a session for this user and this client.
#[derive(Debug, Clone)]
pub struct LaunchSession<'a> {
    /// The desktop's address as the broker knows it.
    pub ip_address: Option<IpAddr>,
    /// The desktop's name as the broker knows it.
    pub hostname: Option<&'a str>,
    /// With what the user logs on.
    pub logon: Option<&'a Logon>,
    /// The client's MAC address.
    pub client_mac: Option<&'a str>,
    /// The client's address as it sees itself.
    pub client_ip: Option<&'a str>,
    /// The client's name.
    pub client_name: Option<&'a str>,
    /// Where the agent gets its license; nothing for its own way.
    pub license_path: &'a str,
    /// The session log id.
    pub session_log_id: &'a SessionId,
    /// The client's time zone.
    pub time_zone_windows: Option<&'a str>,
}

/// What an agent answered.
#[derive(Debug, Clone)]
pub enum Launched {
    /// The session waits for its client.
    Session(SessionInfo),
    /// There is no session.
    Failed(Failure),
}

/// A session that waits for its client.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Where the agent takes the session.
    pub ip_address: IpAddr,
    /// The agent's server name.
    pub sni: Option<String>,
    /// Its TCP and UDP port.
    pub port: u16,
    /// What the client must show.
    pub session_tag: SessionTag,
    /// The agent's number of the session.
    pub session_id: u64,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which of the known failures.
    pub kind: FailureKind,
    /// The agent's own result-id, known or not, as far as it is kept.
    pub said: String,
    /// The agent's words, or ours where it did not answer.
    pub reason: String,
}

/// The known failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The user cannot log on.
    UserAuth,
    /// Another user has a session.
    AnotherSessionStarted,
    /// The session's server did not start in time.
    ServerLaunchTimeout,
    /// Anything else.
    Generic,
}

/// Why a document is no answer of an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is no XML that is taken.
    #[error(transparent)]
    Xml(#[from] xml::Error),
    /// It is not `launch-session-resp` in `pcoip-agent`.
    #[error("the document is no `launch-session-resp`")]
    NoResponse,
    /// A success lacks a part, or has one that is malformed.
    #[error("`{name}` is missing or malformed")]
    Field {
        /// The part.
        name: &'static str,
    },
}

impl LaunchSession<'_> {
    /// The document, which holds the user's password.
    #[must_use]
    pub fn render(&self) -> Zeroizing<String> {
        let address = self.ip_address.map(|a| a.to_string()).unwrap_or_default();
        let mut fields = leaf("session-type", "UNSPECIFIED");
        fields.push_str(&leaf("ip-address", &address));
        fields.push_str(&leaf("hostname", self.hostname.unwrap_or_default()));
        fields.push_str(&logon(self.logon));
        let rest = [
            ("client-mac", self.client_mac.unwrap_or_default()),
            ("client-ip", self.client_ip.unwrap_or_default()),
            ("client-name", self.client_name.unwrap_or_default()),
            ("license-path", self.license_path),
            ("session-log-id", self.session_log_id.as_str()),
            ("time-zone-windows", self.time_zone_windows.unwrap_or_default()),
        ];
        fields.extend(rest.map(|(name, text)| leaf(name, text)));
        let fields = Zeroizing::new(fields);
        let message =
            Zeroizing::new(format!("<launch-session>{}</launch-session>", fields.as_str()));
        Zeroizing::new(declared(ROOT, VERSION, &message))
    }
}

/// Every agent knows this method, also those that do not run Windows.
fn logon(logon: Option<&Logon>) -> Zeroizing<String> {
    let username = logon.map(|l| l.username.as_str()).unwrap_or_default();
    let password = logon.and_then(|l| l.password.as_ref()).map(ExposeSecret::expose_secret);
    let domain = logon.and_then(|l| l.domain.as_deref()).unwrap_or_default();
    let password = Zeroizing::new(leaf("password", password.unwrap_or_default()));
    Zeroizing::new(format!(
        "<logon method=\"windows-password\">{}{}{}</logon>",
        leaf("username", username),
        password.as_str(),
        leaf("domain", domain)
    ))
}

impl Launched {
    /// Reads what an agent answered.
    ///
    /// # Errors
    ///
    /// Where it is no answer to `launch-session`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let document = Document::parse(bytes, MAX_BYTES)?;
        let root = document.root();
        let response = root.child("launch-session-resp").filter(|_| root.name() == ROOT);
        let response = response.ok_or(Invalid::NoResponse)?;
        match response.child_text("result-id") {
            None => Err(Invalid::Field { name: "result-id" }),
            Some("SUCCESSFUL") => SessionInfo::of(response).map(Self::Session),
            Some(id) => Ok(Self::Failed(Failure {
                kind: FailureKind::of(id),
                said: shortened(id, MAX_ID),
                reason: shortened(
                    response.child_text("fail-reason").unwrap_or_default(),
                    MAX_REASON,
                ),
            })),
        }
    }
}

impl SessionInfo {
    fn of(response: &Element<'_>) -> Result<Self, Invalid> {
        let info = response.child("session-info").ok_or(Invalid::Field { name: "session-info" })?;
        let text = |name| info.child_text(name).ok_or(Invalid::Field { name });
        fn parsed<T: std::str::FromStr>(text: &str, name: &'static str) -> Result<T, Invalid> {
            text.parse().map_err(|_| Invalid::Field { name })
        }
        let port = parsed(text("port")?, "port")?;
        if port == 0 {
            return Err(Invalid::Field { name: "port" });
        }
        Ok(Self {
            ip_address: parsed(text("ip-address")?, "ip-address")?,
            sni: info.child_text("sni").map(str::to_owned),
            port,
            session_tag: SessionTag::parse(text("session-tag")?)
                .map_err(|_| Invalid::Field { name: "session-tag" })?,
            session_id: parsed(text("session-id")?, "session-id")?,
        })
    }
}

impl Failure {
    /// A failure that the agent did not tell itself.
    #[must_use]
    pub fn generic(reason: impl Into<String>) -> Self {
        let kind = FailureKind::Generic;
        Self { kind, said: kind.as_str().to_owned(), reason: reason.into() }
    }

    /// The failure's name for clients; unknown ones are presented as generic.
    #[must_use]
    pub fn result_id(&self) -> &'static str {
        self.kind.as_str()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.result_id(), self.reason)
    }
}

impl FailureKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::UserAuth => "FAILED_USER_AUTH",
            Self::AnotherSessionStarted => "FAILED_ANOTHER_SESSION_STARTED",
            Self::ServerLaunchTimeout => "FAILED_SERVER_LAUNCH_TIMEOUT",
            Self::Generic => "FAILED_GENERIC",
        }
    }

    fn of(id: &str) -> Self {
        match id {
            "FAILED_USER_AUTH" => Self::UserAuth,
            "FAILED_ANOTHER_SESSION_STARTED" => Self::AnotherSessionStarted,
            "FAILED_SERVER_LAUNCH_TIMEOUT" => Self::ServerLaunchTimeout,
            _ => Self::Generic,
        }
    }
}

/// The first characters of a text.
fn shortened(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

/// Longer than any known result-id.
const MAX_ID: usize = 64;

/// Users are shown the reason, and nobody reads more of it.
const MAX_REASON: usize = 1024;

#[cfg(test)]
mod tests;
