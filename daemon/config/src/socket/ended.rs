//! What the gateway of a host reports to the Connection Manager beside it.

use std::{io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Role, connect, exchange, split};

/// Where the Connection Manager takes [`SessionsEnded`].
pub const SESSIONS_ENDED: &str = "/sessions-ended";

/// `POST /sessions-ended`, which is answered with 204.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsEnded {
    /// In the order in which they ended.
    pub sessions: Vec<SessionEnded>,
}

/// A session that has ended at the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// The session log id.
    pub id: String,
    /// Why.
    pub reason: EndReason,
}

/// Why a session has ended, in the vendor's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    /// The client did not come in time.
    ConnectionTimeout,
    /// The client was gone for too long.
    ResumeTimeout,
    /// Anything else.
    #[serde(other)]
    Unknown,
}

impl EndReason {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionTimeout => "ConnectionTimeout",
            Self::ResumeTimeout => "ResumeTimeout",
            Self::Unknown => "Unknown",
        }
    }
}

/// Reports ended sessions to the Connection Manager whose socket is in that folder.
///
/// # Errors
///
/// What the system says, and `Other` where the Connection Manager does not take them.
pub fn report_ended(run: &Path, ended: &SessionsEnded, wait: Duration) -> io::Result<()> {
    let body = serde_json::to_vec(ended)?;
    let request = format!("POST {SESSIONS_ENDED}");
    let answer = exchange(connect(run, Role::Cm)?, &request, &body, wait)?;
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
