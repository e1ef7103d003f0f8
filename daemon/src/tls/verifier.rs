//! Verifies upstream peers. Brokers and agents often present certificates that are self-signed,
//! marked as a CA, version 1, or that only have a CN. Such a certificate is accepted if the
//! administrator listed or pinned it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use cmsg_config::{distrust, values::Pin};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
};
use webpki::RawPublicKeyEntity;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::refused::{LastRefused, Refusal};

/// What is trusted upstream.
#[derive(Debug)]
pub(super) struct Upstream {
    listed: Vec<CertificateDer<'static>>,
    pins: Vec<Pin>,
    rest: Rest,
}

/// How a certificate that is neither listed nor pinned is verified.
#[derive(Debug)]
enum Rest {
    Authorities(Option<Arc<WebPkiServerVerifier>>),
    Anyone,
}

impl Upstream {
    pub(super) fn new(
        listed: Vec<CertificateDer<'static>>,
        pins: Vec<Pin>,
        authorities: Option<Arc<WebPkiServerVerifier>>,
    ) -> Self {
        Self { listed, pins, rest: Rest::Authorities(authorities) }
    }

    pub(super) fn trusting_anyone() -> Self {
        Self { listed: Vec::new(), pins: Vec::new(), rest: Rest::Anyone }
    }

    /// The CAs against which to verify a certificate; `None` if it is trusted itself.
    fn authorities_for(
        &self,
        certificate: &CertificateDer<'_>,
    ) -> Result<Option<&WebPkiServerVerifier>, Error> {
        match &self.rest {
            Rest::Anyone => Ok(None),
            _ if self.is_known(certificate) => Ok(None),
            Rest::Authorities(Some(authorities)) => Ok(Some(authorities)),
            Rest::Authorities(None) => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn is_known(&self, certificate: &CertificateDer<'_>) -> bool {
        if self.listed.iter().any(|listed| listed == certificate) {
            return true;
        }
        if self.pins.is_empty() {
            return false;
        }
        let key = key_info(certificate).map(|key| sha256(&key)).ok();
        let shown = [Some(sha256(certificate)), key];
        self.pins.iter().any(|pin| shown.contains(&Some(*pin)))
    }
}

/// A time at which the certificate would be valid, if its validity period is the problem.
fn another_time(error: &Error) -> Option<UnixTime> {
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
            Some(*not_after)
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
            Some(*not_before)
        }
        _ => None,
    }
}

/// The verifier for all upstream peers, with the current trust settings.
#[derive(Debug)]
pub(super) struct Reloaded {
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    pub(super) upstream: Arc<ArcSwap<Upstream>>,
    /// Reports why the peer was refused.
    pub(super) refused: LastRefused,
}

impl ServerCertVerifier for Reloaded {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let upstream = self.upstream.load();
        let verified = match upstream.authorities_for(end_entity) {
            Ok(Some(authorities)) => {
                let verify = |at| {
                    let (chain, ocsp) = (intermediates, ocsp_response);
                    authorities.verify_server_cert(end_entity, chain, server_name, ocsp, at)
                };
                // The validity period is checked first, even if the issuer is not trusted.
                verify(now).or_else(|error| match another_time(&error) {
                    Some(at) => verify(at).and(Err(error)),
                    None => Err(error),
                })
            }
            Ok(None) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(error),
        };
        let refusal = verified.as_ref().err();
        let is_pinned = !upstream.pins.is_empty();
        self.refused.set(refusal.map(|error| Refusal::new(end_entity, error, is_pinned)));
        verified.map_err(distrust::bounded)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let info = key_info(cert)?;
        let key = RawPublicKeyEntity::try_from(&info)
            .map_err(|_| Error::from(CertificateError::BadEncoding))?;
        let algorithms = self.algorithms.mapping.iter();
        algorithms
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter())
            .any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok())
            .then(HandshakeSignatureValid::assertion)
            .ok_or_else(|| CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, &key_info(cert)?, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The certificate's SubjectPublicKeyInfo. Read with x509-parser, since rustls does not parse
/// version 1 certificates.
pub(super) fn key_info(
    certificate: &CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => Ok(SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec())),
        Err(_) => Err(CertificateError::BadEncoding.into()),
    }
}

pub(super) fn sha256(bytes: &[u8]) -> Pin {
    let digest = digest::digest(&digest::SHA256, bytes);
    Pin(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

#[cfg(test)]
mod tests;
