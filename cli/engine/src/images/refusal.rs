//! Classifies the engine's errors of a pull, so that the installer can say what to do.

use std::fmt;

use super::{names::host, ours::Foreign};
use crate::words::plain;

/// Maximum number of characters of the engine's message that are shown.
const SAID: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullError {
    pub image: String,
    pub why: Refusal,
    /// The engine's message, safe for a terminal; may be empty.
    pub said: String,
}

/// Why a pull failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The registry requires credentials.
    NoCredentials,
    /// The registry rejects the user or the password.
    WrongCredentials,
    /// The user may not pull the image.
    Denied,
    /// The registry does not have the image.
    NotFound,
    /// The registry only has the image for other platforms.
    NoPlatform,
    /// The engine does not trust the CA of the registry's certificate.
    UnknownAuthority,
    /// The certificate is for another name.
    CertificateName,
    /// The certificate has expired, or a clock is wrong.
    CertificateExpired,
    /// The registry uses HTTP without TLS.
    PlainHttp,
    /// DNS does not resolve the registry's name.
    UnknownHost,
    /// The connection cannot be established, or breaks.
    Unreachable,
    /// The registry does not answer in time.
    TimedOut,
    /// The registry reports an internal error.
    Failing,
    /// The registry limits the rate of requests.
    RateLimited,
    /// The disk is full.
    DiskFull,
    /// The image is not the requested one, and was removed.
    Foreign(Foreign),
    /// The caller cancelled the pull.
    Cancelled,
    /// Another error, in the engine's message.
    Other,
}

/// Parts of the engine's messages in lower case, and their meaning. The first match applies.
const WORDS: &[(&[&str], Refusal)] = &[
    (&["no space left on device"], Refusal::DiskFull),
    (&["signed by unknown authority", "certificate is not trusted"], Refusal::UnknownAuthority),
    (&["certificate has expired or is not yet valid"], Refusal::CertificateExpired),
    (
        &[
            "certificate is valid for",
            "certificate is not valid for",
            "cannot validate certificate for",
            "legacy common name",
        ],
        Refusal::CertificateName,
    ),
    (&["server gave http response to https client"], Refusal::PlainHttp),
    (&["toomanyrequests", "too many requests"], Refusal::RateLimited),
    (
        &["unauthorized", "authentication required", "no basic auth credentials", "incorrect user"],
        Refusal::WrongCredentials,
    ),
    (&["no matching manifest"], Refusal::NoPlatform),
    (&["denied", "403 forbidden", "http 403"], Refusal::Denied),
    (&["no such host"], Refusal::UnknownHost),
    (
        &[
            "connection refused",
            "connection reset",
            "broken pipe",
            "no route to host",
            "network is unreachable",
            "unexpected eof",
            ": eof",
            "server misbehaving",
            "temporary failure in name resolution",
        ],
        Refusal::Unreachable,
    ),
    (&["timeout", "timed out", "deadline exceeded"], Refusal::TimedOut),
    (
        &["http status: 5", "http 500", "http 502", "http 503", "http 504", "unavailable"],
        Refusal::Failing,
    ),
    (&["not found", "manifest unknown", "name unknown", "404"], Refusal::NotFound),
];

impl PullError {
    pub(super) fn new(image: &str, why: Refusal) -> Self {
        Self { image: image.to_owned(), why, said: String::new() }
    }

    /// Classifies the engine's message.
    pub(super) fn of(image: &str, said: &str, has_credentials: bool) -> Self {
        let words = said.to_lowercase();
        let fits = |(parts, _): &&(&[&str], Refusal)| parts.iter().any(|part| words.contains(part));
        let why = WORDS.iter().find(fits).map_or(Refusal::Other, |(_, why)| why.clone());
        let why = match why {
            Refusal::WrongCredentials if !has_credentials => Refusal::NoCredentials,
            why => why,
        };
        Self { image: image.to_owned(), why, said: plain(said, SAID) }
    }

    /// Whether another attempt may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self.why, Refusal::Unreachable | Refusal::TimedOut | Refusal::Failing)
    }

    /// What the administrator can do.
    pub fn hint(&self) -> Option<String> {
        let host = host(&self.image);
        let hint = match &self.why {
            Refusal::NoCredentials => "add `--docker-username` and `--docker-password`".to_owned(),
            Refusal::WrongCredentials => {
                "check `--docker-username` and `--docker-password`".to_owned()
            }
            Refusal::Denied => {
                "grant the user the right to pull it, or check `--docker-registry` and \
                 `--docker-username`"
                    .to_owned()
            }
            Refusal::NotFound => format!(
                "check `--docker-registry`, and that the image was pushed: `docker push {}`",
                self.image
            ),
            Refusal::UnknownAuthority => format!(
                "put the certificate of its authority into `/etc/docker/certs.d/{host}/ca.crt`"
            ),
            Refusal::CertificateName => "use a registry name that its certificate lists".to_owned(),
            Refusal::CertificateExpired => {
                "renew the registry's certificate, or set this host's clock".to_owned()
            }
            Refusal::PlainHttp => format!(
                "give the registry a certificate, or put `\"insecure-registries\": [\"{host}\"]` \
                 into `/etc/docker/daemon.json` and restart Docker"
            ),
            Refusal::UnknownHost => {
                format!(
                    "check `--docker-registry` and this host's DNS servers: `getent hosts {}`",
                    host.rsplit_once(':').map_or(host, |(name, _)| name)
                )
            }
            Refusal::Unreachable | Refusal::TimedOut => format!(
                "check that the registry is running and that no firewall blocks it: \
                 `curl https://{host}/v2/`"
            ),
            Refusal::Failing => "check the registry's log".to_owned(),
            Refusal::RateLimited => "wait, or add `--docker-username`".to_owned(),
            Refusal::DiskFull => {
                "free some space where Docker stores images: `docker system df`".to_owned()
            }
            Refusal::NoPlatform | Refusal::Foreign(_) => {
                "push the image that belongs to this version of the installer".to_owned()
            }
            Refusal::Cancelled | Refusal::Other => return None,
        };
        Some(hint)
    }
}

impl fmt::Display for PullError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pulling the image `{}`: {}", self.image, self.why)?;
        if self.said.is_empty() { Ok(()) } else { write!(f, " ({})", self.said) }
    }
}

impl std::error::Error for PullError {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCredentials => "the registry requires a user name and a password",
            Self::WrongCredentials => "the registry rejected the user name or the password",
            Self::Denied => "the registry does not allow this user to pull it",
            Self::NotFound => "the registry does not have it",
            Self::NoPlatform => "the registry has it only for other architectures",
            Self::UnknownAuthority => {
                "the registry's certificate was issued by an authority that Docker does not trust"
            }
            Self::CertificateName => "the registry's certificate is for another name",
            Self::CertificateExpired => {
                "the registry's certificate has expired or is not valid yet"
            }
            Self::PlainHttp => "the registry speaks HTTP without TLS",
            Self::UnknownHost => "no DNS server knows the registry",
            Self::Unreachable => "the registry cannot be reached",
            Self::TimedOut => "the registry did not answer in time",
            Self::Failing => "the registry reported an internal error",
            Self::RateLimited => "the registry received too many requests",
            Self::DiskFull => "the disk is full",
            Self::Foreign(foreign) => return foreign.fmt(f),
            Self::Cancelled => "it was interrupted",
            Self::Other => "Docker cannot pull it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of engines, whether there were credentials, and the expected class.
    const SAYINGS: &[(&str, bool, Refusal)] = &[
        (
            r#"Get "https://r:5000/v2/": dial tcp 192.0.2.1:5000: connect: connection refused"#,
            false,
            Refusal::Unreachable,
        ),
        (
            r#"Get "https://r:5000/v2/": x509: certificate signed by unknown authority"#,
            false,
            Refusal::UnknownAuthority,
        ),
        (
            "tls: failed to verify certificate: x509: certificate is valid for a, not r",
            false,
            Refusal::CertificateName,
        ),
        (
            "x509: certificate has expired or is not yet valid: current time 2026 is after",
            false,
            Refusal::CertificateExpired,
        ),
        (
            r#"Get "https://r:5000/v2/": http: server gave HTTP response to HTTPS client"#,
            false,
            Refusal::PlainHttp,
        ),
        (r#"Head "http://r/v2/": no basic auth credentials"#, false, Refusal::NoCredentials),
        ("unauthorized: authentication required", true, Refusal::WrongCredentials),
        (
            "pull access denied for r/sg, repository does not exist or may require login: \
             denied: requested access to the resource is denied",
            true,
            Refusal::Denied,
        ),
        ("error parsing HTTP 403 response body: <html>", true, Refusal::Denied),
        ("manifest for r/sg:1 not found: manifest unknown: ", false, Refusal::NotFound),
        ("no matching manifest for linux/amd64 in the manifest list", false, Refusal::NoPlatform),
        ("dial tcp: lookup r on 192.0.2.3:53: no such host", false, Refusal::UnknownHost),
        ("received unexpected HTTP status: 503 Service Unavailable", false, Refusal::Failing),
        ("net/http: TLS handshake timeout", false, Refusal::TimedOut),
        ("context deadline exceeded", false, Refusal::TimedOut),
        ("unexpected EOF", false, Refusal::Unreachable),
        ("toomanyrequests: You have reached your pull rate limit", false, Refusal::RateLimited),
        ("write /var/lib/docker/tmp/x: no space left on device", false, Refusal::DiskFull),
        ("filesystem layer verification failed", false, Refusal::Other),
    ];

    #[test]
    fn messages_of_engines_are_classified() {
        for (said, has_credentials, expected) in SAYINGS {
            assert_eq!(&PullError::of("r/sg:1", said, *has_credentials).why, expected, "{said}");
        }
    }

    #[test]
    fn only_transient_failures_are_retried() {
        let transient = |why| PullError::new("r/sg:1", why).is_transient();
        assert!(
            [Refusal::Unreachable, Refusal::TimedOut, Refusal::Failing].map(transient) == [true; 3]
        );
        for why in [
            Refusal::WrongCredentials,
            Refusal::Denied,
            Refusal::NotFound,
            Refusal::UnknownAuthority,
            Refusal::Foreign(Foreign::Unmarked),
            Refusal::Cancelled,
        ] {
            assert!(!transient(why));
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_and_what_to_do() {
        let error = PullError::of(
            "mirror:5000/a/sg:1",
            "x509: certificate signed by unknown authority\u{1b}[2J",
            true,
        );

        assert_eq!(
            error.to_string(),
            "pulling the image `mirror:5000/a/sg:1`: the registry's certificate was issued by an authority \
             that Docker does not trust (x509: certificate signed by unknown authority [2J)"
        );
        assert_eq!(
            error.hint().unwrap(),
            "put the certificate of its authority into `/etc/docker/certs.d/mirror:5000/ca.crt`"
        );
    }
}
