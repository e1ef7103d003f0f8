//! Makes keys and self-signed certificates.

use anyhow::Context as _;
use cmsg_config::pem;
use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use time::{Duration, OffsetDateTime};

use super::COMMON_NAME;
use crate::content::Content;

/// How long a self-signed TLS certificate is valid: the longest that clients accept.
pub(crate) const TLS_DAYS: i64 = 397;
/// How long the certificate of the signing key is valid. Gateways trust its key, not its dates.
pub(crate) const SIGNING_DAYS: i64 = 3650;

/// A self-signed certificate to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) key: Key,
    /// Alternative names; those of a TLS certificate.
    pub(crate) names: Vec<String>,
    /// The present instant, from which on it is valid.
    pub(crate) now: OffsetDateTime,
}

/// The key of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// A new RSA key with 3072 bits, for TLS.
    NewRsa,
    /// A new P-256 key, for announcements.
    NewP256,
    /// A PEM key that exists.
    Given(Content),
}

/// A key and its certificate, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: Content,
    pub(crate) certificate: Content,
}

/// Makes a certificate, and its key unless that is given.
///
/// # Errors
///
/// Where the given key cannot be used, or a name cannot stand in a certificate.
pub(crate) fn pair(request: &Request) -> anyhow::Result<Pair> {
    let key = match &request.key {
        Key::NewRsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)?,
        Key::NewP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        Key::Given(given) => {
            let der = pem::key(given.bytes()).context("finding a PEM key")?;
            KeyPair::try_from(&der).context("reading the key")?
        }
    };
    let certificate = parameters(request)?.self_signed(&key)?;
    let pem = match &request.key {
        Key::Given(pem) => pem.clone(),
        _ => key.serialize_pem().into(),
    };
    Ok(Pair { key: pem, certificate: certificate.pem().into() })
}

fn parameters(request: &Request) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(request.names.clone())?;
    // Clients' clocks may be a little behind.
    parameters.not_before = request.now - Duration::hours(1);
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    let is_tls = request.key == Key::NewRsa || !request.names.is_empty();
    let days = if is_tls {
        parameters.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        TLS_DAYS
    } else {
        SIGNING_DAYS
    };
    parameters.not_after = parameters.not_before + Duration::days(days);
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::inspect::{self, KeyKind};

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap()
    }

    fn request(key: Key, names: &[&str]) -> Request {
        Request { key, names: names.iter().map(ToString::to_string).collect(), now: now() }
    }

    #[test]
    fn a_tls_certificate_has_an_rsa_key_its_names_and_397_days() {
        let request = request(Key::NewRsa, &["cm.example", "192.0.2.1", "::1"]);

        let pair = pair(&request).unwrap();

        let [certificate] = &inspect::certificates(pair.certificate.bytes()).unwrap()[..] else {
            panic!("one certificate is made")
        };
        assert_eq!(certificate.key.kind, KeyKind::Rsa(3072));
        assert_eq!(Ok(certificate.key.clone()), inspect::key(pair.key.bytes()));
        assert_eq!(certificate.names, ["cm.example", "192.0.2.1", "::1"].map(inspect::Name::of));
        assert_eq!(certificate.not_after - certificate.not_before, Duration::days(397));
        assert!(certificate.not_before < now());
        assert!(certificate.is_self_issued);
    }

    #[test]
    fn the_signing_pair_is_p256_and_its_key_is_not_shown() {
        let pair = pair(&request(Key::NewP256, &[])).unwrap();

        assert_eq!(inspect::key(pair.key.bytes()).unwrap().kind, KeyKind::P256);
        assert!(pair.key.text().starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(!format!("{pair:?}").contains("BEGIN"));
    }

    #[test]
    fn a_given_key_is_kept_byte_for_byte() {
        let own = pair(&request(Key::NewP256, &[])).unwrap();

        let again = pair(&request(Key::Given(own.key.clone()), &[])).unwrap();

        assert_eq!(again.key, own.key);
        let key =
            |pair: &Pair| inspect::certificates(pair.certificate.bytes()).unwrap()[0].key.clone();
        assert_eq!(key(&again), key(&own));
    }
}
