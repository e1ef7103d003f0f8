//! The responses that the Connection Manager sends itself when a request fails, in the vendor's
//! wording, which clients and administrators know. They have no XML declaration.

use super::{CLIENT_ROOT, Version, logons::Banned};
use crate::{
    agent::Failure,
    xml::{escape, leaf},
};

/// Why a request is refused without a usable response of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The session cookie is missing, unknown or expired.
    UnknownSession,
    /// The session's stage does not allow the request, or an earlier request failed.
    InvalidSession,
    /// The number of sessions is at its limit.
    TooManySessions,
    /// The host is being drained.
    Draining,
    /// The broker did not respond in time.
    BrokerTimedOut,
    /// The broker cannot be reached, or its response is invalid.
    BrokerFailed,
    /// No gateway accepted the session.
    GatewayFailed,
}

impl Refusal {
    /// The `error-resp` document for the client.
    #[must_use]
    pub fn document(self, version: &Version) -> String {
        let (id, text) = self.result();
        let result = leaf("result-id", id) + &leaf("result-str", text);
        let detail = leaf("err-detail", self.detail());
        rooted(
            version,
            &format!(
                "<error-resp><result>{result}</result><detected-by>CM</detected-by>{detail}</error-resp>"
            ),
        )
    }

    /// The `err-detail` of the document, for administrators.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::UnknownSession => "Unknown/expired JSESSIONID",
            Self::InvalidSession => "The requested session is invalid.",
            Self::TooManySessions => "Too many sessions",
            Self::Draining => "No new sessions are accepted",
            Self::BrokerTimedOut => "Timed out communicating with broker",
            Self::BrokerFailed => "Cannot communicate with broker",
            Self::GatewayFailed => "Security Gateway is enabled but does not respond",
        }
    }

    /// The error number that clients show to users.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::UnknownSession => 6606,
            Self::BrokerTimedOut | Self::BrokerFailed => 6608,
            Self::InvalidSession | Self::TooManySessions | Self::Draining | Self::GatewayFailed => {
                6612
            }
        }
    }

    fn result(self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownSession => (
                "ERR_INVALID_SESSION",
                "Error 6606: Command failed. Please report this failure to your system \
                 administrator.",
            ),
            Self::BrokerTimedOut | Self::BrokerFailed => (
                "ERR_BROKER_RESP_FAILED",
                "Error 6608: Command failed due to a connection broker communication failure. \
                 Please try again. If this failure persists, please report this failure to your \
                 system administrator.",
            ),
            Self::InvalidSession | Self::TooManySessions | Self::Draining | Self::GatewayFailed => {
                (
                    "ERR_GENERIC",
                    "Error 6612: Command failed. Please try again. If this failure persists, please \
                 report this failure to your system administrator.",
                )
            }
        }
    }
}

/// The error number that clients show if the agent did not launch the session.
pub const AGENT_FAILURE: u16 = 6405;

/// The `allocate-resource-resp` for a resource whose agent did not launch the session.
#[must_use]
pub fn agent_failure(version: &Version, failure: &Failure) -> String {
    let text = "Error 6405: PCoIP Agent failed to launch the remote session. Please try again. If \
                this failure persists, please report this failure to your system administrator.";
    let result = leaf("result-id", "ALLOC_FAILED_TO_ALLOCATE_AGENT") + &leaf("result-str", text);
    let reason = format!("[PCoIPAgent] {}: {}", failure.result_id(), failure.reason);
    let reason = leaf("fail-reason-str", &reason);
    rooted(
        version,
        &format!(
            "<allocate-resource-resp><result>{result}</result>{reason}</allocate-resource-resp>"
        ),
    )
}

/// The `authenticate-resp` for a user who is banned from the client's address. Clients show its
/// `result-str` and let the user try again, as after a wrong password.
#[must_use]
pub fn banned(version: &Version, method: &str, banned: Banned) -> String {
    let when = match banned.left.as_secs().div_ceil(60) {
        0 => "later".to_owned(),
        1 => "in 1 minute".to_owned(),
        minutes => format!("in {minutes} minutes"),
    };
    let text = format!("Too many failed log-ons. Please try again {when}.");
    let result = leaf("result-id", "AUTH_FAILED_ACCESS_DENIED") + &leaf("result-str", &text);
    let method = escape(method);
    rooted(
        version,
        &format!(
            "<authenticate-resp method=\"{method}\"><result>{result}</result></authenticate-resp>"
        ),
    )
}

fn rooted(version: &Version, message: &str) -> String {
    format!("<{CLIENT_ROOT} version=\"{version}\">{message}</{CLIENT_ROOT}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TROUBLESHOOTING: &str = include_str!("../../../../docs/troubleshooting.md");

    /// Iterates over all refusals: a new variant does not compile without an arm here.
    fn after(refusal: Refusal) -> Option<Refusal> {
        match refusal {
            Refusal::UnknownSession => Some(Refusal::InvalidSession),
            Refusal::InvalidSession => Some(Refusal::TooManySessions),
            Refusal::TooManySessions => Some(Refusal::Draining),
            Refusal::Draining => Some(Refusal::BrokerTimedOut),
            Refusal::BrokerTimedOut => Some(Refusal::BrokerFailed),
            Refusal::BrokerFailed => Some(Refusal::GatewayFailed),
            Refusal::GatewayFailed => None,
        }
    }

    /// The number in `Error 1234: …`.
    fn number(text: &str) -> &str {
        text.strip_prefix("Error ").and_then(|rest| rest.split(':').next()).unwrap()
    }

    #[test]
    fn troubleshooting_lists_every_refusal() {
        for refusal in std::iter::successors(Some(Refusal::UnknownSession), |last| after(*last)) {
            let (id, text) = refusal.result();
            assert_eq!(number(text), refusal.number().to_string());
            let row = format!("| Error {} | `{id}` | `{}` |", number(text), refusal.detail());

            assert!(TROUBLESHOOTING.contains(&row), "{row}");
            assert!(TROUBLESHOOTING.contains(&format!("\n## Error {}\n", number(text))));
        }
    }

    #[test]
    fn troubleshooting_lists_every_failure_of_an_agent() {
        for id in [
            "FAILED_USER_AUTH",
            "FAILED_ANOTHER_SESSION_STARTED",
            "FAILED_SERVER_LAUNCH_TIMEOUT",
            "FAILED_GENERIC",
        ] {
            assert!(TROUBLESHOOTING.contains(&format!("\n| `{id}` |")), "{id}");
        }
        assert!(TROUBLESHOOTING.contains("| Error 6405 | `ALLOC_FAILED_TO_ALLOCATE_AGENT` |"));
    }

    #[test]
    fn refusals_have_the_documented_text() {
        let table = [
            (
                Refusal::UnknownSession,
                "<result-id>ERR_INVALID_SESSION</result-id><result-str>Error 6606: Command failed. \
                 Please report this failure to your system administrator.</result-str></result>\
                 <detected-by>CM</detected-by><err-detail>Unknown/expired JSESSIONID</err-detail>",
            ),
            (
                Refusal::BrokerTimedOut,
                "<result-id>ERR_BROKER_RESP_FAILED</result-id><result-str>Error 6608: Command failed \
                 due to a connection broker communication failure. Please try again. If this failure \
                 persists, please report this failure to your system administrator.</result-str>\
                 </result><detected-by>CM</detected-by><err-detail>Timed out communicating with \
                 broker</err-detail>",
            ),
            (
                Refusal::InvalidSession,
                "<result-id>ERR_GENERIC</result-id><result-str>Error 6612: Command failed. Please try \
                 again. If this failure persists, please report this failure to your system \
                 administrator.</result-str></result><detected-by>CM</detected-by><err-detail>The \
                 requested session is invalid.</err-detail>",
            ),
        ];
        for (refusal, inside) in table {
            assert_eq!(
                refusal.document(&Version::usual()),
                format!(
                    "<pcoip-client version=\"2.1\"><error-resp><result>{inside}</error-resp></pcoip-client>"
                )
            );
        }
    }

    #[test]
    fn a_banned_user_learns_when_to_try_again() {
        let table = [(0, "later"), (59, "in 1 minute"), (60, "in 1 minute"), (61, "in 2 minutes")];
        for (seconds, when) in table {
            let left = std::time::Duration::from_secs(seconds);

            assert_eq!(
                banned(&Version::usual(), "a\"b", Banned { left }),
                format!(
                    "<pcoip-client version=\"2.1\"><authenticate-resp method=\"a&quot;b\"><result>\
                     <result-id>AUTH_FAILED_ACCESS_DENIED</result-id><result-str>Too many failed \
                     log-ons. Please try again {when}.</result-str></result></authenticate-resp>\
                     </pcoip-client>"
                )
            );
        }
    }

    #[test]
    fn an_agents_reason_is_escaped() {
        let failure = Failure::generic("it said <no>");

        assert_eq!(
            agent_failure(&Version::usual(), &failure),
            "<pcoip-client version=\"2.1\"><allocate-resource-resp><result>\
             <result-id>ALLOC_FAILED_TO_ALLOCATE_AGENT</result-id><result-str>Error 6405: PCoIP Agent \
             failed to launch the remote session. Please try again. If this failure persists, please \
             report this failure to your system administrator.</result-str></result>\
             <fail-reason-str>[PCoIPAgent] FAILED_GENERIC: it said &lt;no&gt;</fail-reason-str>\
             </allocate-resource-resp></pcoip-client>"
        );
    }
}
