//! The certificate that an upstream peer presented last, if it was refused, so that administrators
//! can compare or pin it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use cmsg_config::{
    distrust::{Distrust, Problem},
    names,
    socket::RefusedCertificate,
    values::Pin,
};
use rustls::{Error, pki_types::CertificateDer};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::verifier;

/// The certificate that the last handshake of a client refused, if any.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastRefused(Arc<Mutex<Option<Refusal>>>);

/// A refused certificate. Its text continues "the peer".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    certificate: Pin,
    /// `None` if the certificate cannot be parsed.
    key: Option<Pin>,
    names: Vec<String>,
    why: Distrust,
    /// Whether pins are configured for the peer.
    is_pinned: bool,
}

impl LastRefused {
    /// The certificate that the last handshake refused.
    pub(crate) fn get(&self) -> Option<Refusal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, refusal: Option<Refusal>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }
}

impl Refusal {
    pub(crate) fn new(certificate: &CertificateDer<'_>, error: &Error, is_pinned: bool) -> Self {
        let key = verifier::key_info(certificate).ok().map(|key| verifier::sha256(&key));
        Self {
            certificate: verifier::sha256(certificate),
            key,
            names: names(certificate),
            why: Distrust::of(error),
            is_pinned,
        }
    }

    pub(crate) fn problem(&self) -> Problem {
        if self.is_pinned { Problem::NotPinned } else { self.why.problem() }
    }

    /// Whether a wrong clock may be the cause.
    pub(crate) fn is_about_time(&self) -> bool {
        matches!(self.why, Distrust::Expired(_) | Distrust::NotYetValid(..))
    }

    /// SHA-256 of the certificate.
    pub(crate) fn certificate(&self) -> Pin {
        self.certificate
    }

    /// Whether both have the same cause.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.problem() == other.problem()
    }

    /// The refusal for `GET /status`.
    pub(crate) fn status(&self) -> RefusedCertificate {
        RefusedCertificate {
            problem: self.problem(),
            certificate: self.certificate.to_string(),
            key: self.key.map(|key| key.to_string()),
            names: self.names.clone(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_pinned {
            f.write_str("presents a different certificate than the pinned one")?;
            if self.why.problem() != Problem::UnknownAuthority {
                write!(f, ", which cannot be verified otherwise ({})", self.why)?;
            }
        } else {
            write!(f, "presents a certificate that cannot be verified: {}", self.why)?;
        }
        write!(f, "; certificate {}", self.certificate)?;
        if let Some(key) = self.key {
            write!(f, ", key {key}")?;
        }
        if !self.names.is_empty() {
            write!(f, ", for {}", self.names.join(", "))?;
        }
        Ok(())
    }
}

/// The names in a certificate, else its subject, escaped. The peer chose them.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let alternative = alternative.into_iter().flat_map(|names| &names.value.general_names);
    let all: Vec<_> = alternative.filter_map(name).collect();
    if all.is_empty() {
        return vec![names::subject(&parsed.subject().to_string())];
    }
    names::shown(&all)
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), *bytes) {
            (Ok(four), _) => Some(std::net::IpAddr::from(four).to_string()),
            (_, bytes) => {
                <[u8; 16]>::try_from(bytes).ok().map(|it| std::net::IpAddr::from(it).to_string())
            }
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::CertificateError;

    use super::*;

    fn refused(names: &[&str], error: CertificateError, is_pinned: bool) -> Refusal {
        let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "cn\nWARN \u{1b}[1A");
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Refusal::new(certificate.der(), &error.into(), is_pinned)
    }

    #[test]
    fn a_refusal_names_cause_fingerprints_and_names() {
        let refusal = refused(&["b.example", "192.0.2.1"], CertificateError::UnknownIssuer, true);
        let Refusal { certificate, key, .. } = &refusal;
        let key = key.unwrap();

        assert_eq!(
            refusal.to_string(),
            format!(
                "presents a different certificate than the pinned one; certificate {certificate}, \
                 key {key}, for b.example, 192.0.2.1"
            )
        );
        assert_eq!(refusal.problem(), Problem::NotPinned);
    }

    #[test]
    fn without_a_pin_the_refusal_has_the_verifiers_reason() {
        let text = refused(&["b.example"], CertificateError::UnknownIssuer, false).to_string();

        const START: &str = "presents a certificate that cannot be verified: it was not issued \
                             by a trusted authority; certificate sha256:";
        assert!(text.starts_with(START), "{text}");
    }

    #[test]
    fn names_in_a_certificate_cannot_add_a_line_or_move_the_cursor() {
        let text = refused(&[], CertificateError::UnknownIssuer, false).to_string();

        assert!(!text.contains(char::is_control), "{text:?}");
    }

    #[test]
    fn names_in_a_certificate_cannot_look_like_another_field() {
        let names = [&*format!("b{}fix=x", " ".repeat(100))];
        let refusal = refused(&names, CertificateError::UnknownIssuer, false);

        for text in [refusal.to_string(), refusal.status().names.join(" ")] {
            assert!(!text.contains("  ") && !text.contains("fix="), "{text:?}");
        }
    }
}
