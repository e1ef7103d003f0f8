//! Why a peer's certificate is refused, in the same words wherever it is reported.

use std::fmt;

use rustls::{CertificateError, Error};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::names;

/// The kind of problem, as a machine-readable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// Pins are set, and neither the certificate nor its key matches one.
    NotPinned,
    /// `notAfter` is in the past.
    Expired,
    /// `notBefore` is in the future.
    NotYetValid,
    /// No name in the certificate matches the host that was contacted.
    OtherName,
    /// No trusted CA issued the certificate, or the CA's key was replaced.
    UnknownAuthority,
    /// Any other problem, for example a damaged certificate.
    Other,
}

/// Why a certificate cannot be verified. The `Display` text calls the certificate "it".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// `notAfter`, in seconds since the Unix epoch.
    Expired(u64),
    /// `notBefore` and the time of this host, both in seconds since the Unix epoch.
    NotYetValid(u64, u64),
    /// The host that was contacted, and the names in the certificate. The peer chose these names:
    /// escape them before printing.
    OtherName(String, Vec<String>),
    /// No trusted CA issued the certificate.
    UnknownAuthority,
    /// A trusted CA has the issuer's name but a different key, for example because the CA's key was
    /// replaced.
    OtherAuthority,
    /// Any other problem, as text.
    Other(String),
}

impl Distrust {
    /// Converts an error of rustls's verifier.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        let Error::InvalidCertificate(why) = error else { return Self::Other(error.to_string()) };
        match why {
            CertificateError::ExpiredContext { not_after, .. } => {
                Self::Expired(not_after.as_secs())
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYetValid(not_before.as_secs(), time.as_secs())
            }
            CertificateError::NotValidForNameContext { expected, presented } => {
                Self::OtherName(expected.to_str().into_owned(), inner(presented))
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Other("it is not a server certificate (extended key usage)".to_owned())
            }
            CertificateError::BadSignature => Self::OtherAuthority,
            CertificateError::BadEncoding => Self::Other("it is damaged".to_owned()),
            CertificateError::Expired => Self::Other("it has expired".to_owned()),
            CertificateError::NotValidYet => Self::Other("it is not valid yet".to_owned()),
            CertificateError::NotValidForName => {
                Self::Other("it is for a different name".to_owned())
            }
            CertificateError::Revoked => Self::Other("it is revoked".to_owned()),
            CertificateError::Other(other) => Self::Other(match other.0.to_string().as_str() {
                "CaUsedAsEndEntity" => {
                    "it is a CA certificate, which is trusted only if it is pinned".to_owned()
                }
                "UnsupportedCertVersion" => "it is not an X.509 version 3 certificate".to_owned(),
                other => other.to_owned(),
            }),
            other => Self::Other(other.to_string()),
        }
    }

    /// The kind of problem, without its values.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Expired(_) => Problem::Expired,
            Self::NotYetValid(..) => Problem::NotYetValid,
            Self::OtherName(..) => Problem::OtherName,
            Self::UnknownAuthority | Self::OtherAuthority => Problem::UnknownAuthority,
            Self::Other(_) => Problem::Other,
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(at) => write!(f, "it expired at {}", date(*at)),
            Self::NotYetValid(from, now) => write!(
                f,
                "it is not valid before {}, but this host's clock says {}",
                date(*from),
                date(*now)
            ),
            Self::OtherName(called, names) if names.is_empty() => {
                write!(f, "it has no names, but `{called}` was requested")
            }
            Self::OtherName(called, names) => {
                write!(f, "it is for {}, not for `{called}`", quoted(names))
            }
            Self::UnknownAuthority => f.write_str("it was not issued by a trusted authority"),
            Self::OtherAuthority => {
                f.write_str("its issuer has the name of a trusted authority, but a different key")
            }
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// The same error with the certificate's names escaped and bounded by [`crate::names`], for reports
/// that use rustls's text.
#[must_use]
pub fn bounded(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => {
            let names = inner(&presented);
            let shown = names::shown(&names);
            let all = presented.iter().zip(names.iter().zip(&shown));
            let presented =
                all.map(|(text, (name, shown))| text.replacen(name, shown, 1)).collect();
            CertificateError::NotValidForNameContext { expected, presented }.into()
        }
        other => other,
    }
}

/// Escaped and bounded names, each in backticks.
fn quoted(all: &[String]) -> String {
    let shown = names::shown(all);
    let more = all.len() - shown.len();
    let mut shown: Vec<_> = shown.iter().map(|name| format!("`{name}`")).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

/// Extracts the names from rustls's debug form: `DnsName("a.example")`, `IpAddress(192.0.2.1)`. The
/// peer chose these names.
fn inner(presented: &[String]) -> Vec<String> {
    let name = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(text).trim_matches('"').to_owned()
    };
    presented.iter().map(name).collect()
}

/// Formats seconds since the Unix epoch as RFC 3339, UTC.
#[must_use]
pub fn date(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok().and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| format!("second {seconds}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    #[test]
    fn every_certificate_problem_has_its_own_text() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expected = ServerName::try_from("b.example").unwrap();
        let presented =
            vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(192.0.2.1)".to_owned()];
        let table = [
            (
                CertificateError::ExpiredContext { time: at(2_000), not_after: at(1_000) },
                "it expired at 1970-01-01T00:16:40Z",
                Problem::Expired,
            ),
            (
                CertificateError::NotValidYetContext { time: at(0), not_before: at(1_000) },
                "it is not valid before 1970-01-01T00:16:40Z, but this host's clock says \
                 1970-01-01T00:00:00Z",
                Problem::NotYetValid,
            ),
            (
                CertificateError::NotValidForNameContext { expected, presented },
                "it is for `a.example`, `192.0.2.1`, not for `b.example`",
                Problem::OtherName,
            ),
            (
                CertificateError::UnknownIssuer,
                "it was not issued by a trusted authority",
                Problem::UnknownAuthority,
            ),
            (
                CertificateError::BadSignature,
                "its issuer has the name of a trusted authority, but a different key",
                Problem::UnknownAuthority,
            ),
            (CertificateError::BadEncoding, "it is damaged", Problem::Other),
        ];
        for (error, text, problem) in table {
            let distrust = Distrust::of(&error.into());

            assert_eq!((distrust.to_string().as_str(), distrust.problem()), (text, problem));
        }
    }

    #[test]
    fn names_from_a_peers_certificate_are_escaped_and_bounded() {
        let expected = ServerName::try_from("b.example").unwrap();
        let forged = format!("DnsName(\"x fix=`curl evil`\nhint: y{}\")", " ".repeat(4000));
        let presented = vec![forged; 20];
        let error = CertificateError::NotValidForNameContext { expected, presented };

        let text = Distrust::of(&error.into()).to_string();

        assert!(!text.contains("fix=") && !text.contains('\n') && !text.contains("  "), "{text}");
        assert!(text.ends_with(" and 12 more, not for `b.example`"), "{text}");
        assert!(text.len() < 9 * 260, "{}", text.len());
    }
}
