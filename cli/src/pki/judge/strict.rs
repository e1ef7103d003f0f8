//! What webpki says, which judges certificates as strict clients do. Where one of the other rules
//! knows the reason, its words are better.

use std::time::Duration;

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use time::OffsetDateTime;
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};

use crate::{finding::Finding, pki::inspect::Certificate};

/// A certificate with those that a client knows or is sent.
pub(super) struct Shown<'a> {
    pub(super) leaf: &'a Certificate,
    /// Those that lead to the roots.
    pub(super) between: Vec<&'a Certificate>,
    /// Those that the client trusts.
    pub(super) roots: Vec<&'a Certificate>,
}

impl Shown<'_> {
    /// Why a strict client refuses it, where that is not said otherwise.
    pub(super) fn judge(&self, now: OffsetDateTime) -> Option<Finding> {
        let why = match self.verify(now) {
            // That has a finding of its own.
            Ok(()) | Err(Error::CaUsedAsEndEntity) => return None,
            Err(error) => words(&error),
        };
        Some(Finding::warning(
            "certificate.strict-clients",
            format!("strict TLS clients refuse the certificate: {why}"),
            "request one with standard extensions, signed with SHA-256 and PKCS#1 or ECDSA",
        ))
    }

    fn verify(&self, now: OffsetDateTime) -> Result<(), Error> {
        let der = |one: &Certificate| CertificateDer::from(one.der.clone());
        let leaf = der(self.leaf);
        let roots: Vec<_> = self.roots.iter().map(|root| der(root)).collect();
        let between: Vec<_> = self.between.iter().map(|one| der(one)).collect();
        let anchors: Vec<_> =
            roots.iter().filter_map(|root| anchor_from_trusted_cert(root).ok()).collect();
        let seconds = u64::try_from(now.unix_timestamp()).unwrap_or_default();
        EndEntityCert::try_from(&leaf)?
            .verify_for_usage(
                aws_lc_rs::default_provider().signature_verification_algorithms.all,
                &anchors,
                &between,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map(drop)
    }
}

/// Whether strict clients accept a certificate for a name; unknown where they cannot read it.
pub(super) fn is_named(leaf: &Certificate, name: &str) -> Option<bool> {
    let der = CertificateDer::from(leaf.der.as_slice());
    let certificate = EndEntityCert::try_from(&der).ok()?;
    let name = ServerName::try_from(name).ok()?;
    Some(certificate.verify_is_valid_for_subject_name(&name).is_ok())
}

fn words(error: &Error) -> String {
    match error {
        Error::UnsupportedCriticalExtension => {
            "it or an issuer has an unknown critical extension".to_owned()
        }
        Error::NameConstraintViolation => "an issuer has unsupported name constraints".to_owned(),
        Error::UnknownIssuer => {
            "it has no chain of supported signatures to the authority".to_owned()
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "it or an issuer has an unsupported signature algorithm".to_owned()
        }
        error => {
            let text = format!("{error:?}");
            text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
        }
    }
}
