//! The report of ended sessions from a gateway to the Connection Manager on the same host.

use std::{io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Role, exchange, split};

/// Path on the Connection Manager's socket that accepts [`SessionsEnded`].
pub const SESSIONS_ENDED: &str = "/sessions-ended";

/// The body of `POST /sessions-ended`; the response has status 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnded {
    /// The sessions, in the order in which they ended.
    pub sessions: Vec<SessionEnded>,
}

/// A session that ended at the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// The session log id.
    pub id: String,
    /// Why the session ended.
    pub reason: EndReason,
}

/// Why a session ended, in the vendor's terms (`docs/logs.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The client never connected (`AnnouncedSeconds`).
    ConnectionTimeout,
    /// The client did not reconnect in time (`ResumeSeconds`).
    ResumeTimeout,
    /// Any other reason, including those of newer gateways.
    #[serde(other)]
    Unknown,
}

impl EndReason {
    /// The value of `reason` in `connection-closed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionTimeout => "ConnectionTimeout",
            Self::ResumeTimeout => "ResumeTimeout",
            Self::Unknown => "Unknown",
        }
    }
}

/// Reports ended sessions to the Connection Manager whose socket is in the directory `run`.
///
/// # Errors
///
/// The error of the system call, or `Other` if the Connection Manager refuses the report.
pub fn report_ended(run: &Path, ended: &SessionsEnded, wait: Duration) -> io::Result<()> {
    let body = serde_json::to_vec(ended)?;
    let request = format!("POST {SESSIONS_ENDED}");
    let answer = exchange((run, Role::Cm.socket()), &request, &body, wait)?;
    match split(&answer)? {
        (b"204", _) => Ok(()),
        (status, _) => Err(io::Error::other(String::from_utf8_lossy(status).into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_a_newer_gateway_is_unknown() {
        let read: SessionEnded =
            serde_json::from_str(r#"{"id":"x","reason":"ClientSaidBye"}"#).unwrap();

        assert_eq!(read.reason, EndReason::Unknown);
        assert_eq!(
            serde_json::to_string(&SessionEnded { reason: EndReason::ResumeTimeout, ..read })
                .unwrap(),
            r#"{"id":"x","reason":"ResumeTimeout"}"#
        );
    }
}
