//! The agent protocol: a single request, `launch-session`, for each allocated resource.

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

/// The content of `launch-session`.
#[derive(Debug, Clone)]
pub struct LaunchSession<'a> {
    /// Address of the desktop, as the broker named it.
    pub ip_address: Option<IpAddr>,
    /// Host name of the desktop, as the broker named it.
    pub hostname: Option<&'a str>,
    /// The user's credentials. `None` if the broker did not ask for any.
    pub logon: Option<&'a Logon>,
    /// MAC address of the client, as the client sent it.
    pub client_mac: Option<&'a str>,
    /// Local address of the client, as the client sent it.
    pub client_ip: Option<&'a str>,
    /// Name of the client, as the client sent it.
    pub client_name: Option<&'a str>,
    /// `LicenseServerAddress`, joined by semicolons; empty for the agent's own setting.
    pub license_path: &'a str,
    /// The session log id.
    pub session_log_id: &'a SessionId,
    /// Windows name of the client's time zone.
    pub time_zone_windows: Option<&'a str>,
}

/// The content of `launch-session-resp`.
#[derive(Debug, Clone)]
pub enum Launched {
    /// The agent launched the session.
    Session(SessionInfo),
    /// The agent refused, or could not launch the session.
    Failed(Failure),
}

/// A launched session that waits for its client.
#[derive(Debug, Clone)]
pub struct SessionInfo {
    /// Address at which the agent says it accepts the session.
    pub ip_address: IpAddr,
    /// TLS server name of the agent.
    pub sni: Option<String>,
    /// TCP and UDP port of the agent.
    pub port: u16,
    /// The tag that the client must send.
    pub session_tag: SessionTag,
    /// Number of the session at the agent.
    pub session_id: u64,
}

/// Why the agent did not launch the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The failure, if it is a known one.
    pub kind: FailureKind,
    /// The agent's `result-id`, at most 64 characters.
    pub said: String,
    /// The agent's `fail-reason`, or our own text if it did not respond.
    pub reason: String,
}

/// The documented failures. Clients show a different message for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// `FAILED_USER_AUTH`: the credentials are wrong.
    UserAuth,
    /// `FAILED_ANOTHER_SESSION_STARTED`: another user has a session.
    AnotherSessionStarted,
    /// `FAILED_SERVER_LAUNCH_TIMEOUT`: the session's server did not start in time.
    ServerLaunchTimeout,
    /// Any other failure, reported to clients as `FAILED_GENERIC`.
    Generic,
}

/// Why a document is not a response of an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The XML is invalid or exceeds a limit.
    #[error(transparent)]
    Xml(#[from] xml::Error),
    /// The document is not a `launch-session-resp` in `pcoip-agent`.
    #[error("the document is not a `launch-session-resp`")]
    NoResponse,
    /// An element of a successful response is missing or malformed.
    #[error("`{name}` is missing or malformed")]
    Field {
        /// Name of the element.
        name: &'static str,
    },
}

impl LaunchSession<'_> {
    /// The XML document. It contains the user's password, so it is wiped when dropped.
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

/// All agents support this method, including those that do not run Windows.
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
    /// Parses the response of an agent.
    ///
    /// # Errors
    ///
    /// [`Invalid`]. Unknown elements are ignored, and a failure is not an error.
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
    /// A failure that the agent did not report itself.
    #[must_use]
    pub fn generic(reason: impl Into<String>) -> Self {
        let kind = FailureKind::Generic;
        Self { kind, said: kind.as_str().to_owned(), reason: reason.into() }
    }

    /// The `result-id` for clients. Unknown ones become the generic failure.
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

/// Longer than any known `result-id`, in characters.
const MAX_ID: usize = 64;

/// Length of a reason in characters: clients show it to users.
const MAX_REASON: usize = 1024;

#[cfg(test)]
mod tests;
