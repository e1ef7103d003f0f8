//! Reads certificates and keys into what the checks ask for.

use std::net::IpAddr;

use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION,
        OID_PKCS1_RSASSAPSS, OID_SIG_ED25519,
    },
    prelude::FromDer as _,
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Its bytes.
    pub(crate) der: Vec<u8>,
    /// Whom it names.
    pub(crate) subject: String,
    /// Whether it names the same as issuer.
    pub(crate) is_self_issued: bool,
    /// Alternative names: DNS names and addresses.
    pub(crate) names: Vec<String>,
    /// Valid from then.
    pub(crate) not_before: OffsetDateTime,
    /// Valid until then.
    pub(crate) not_after: OffsetDateTime,
    /// Its public key.
    pub(crate) key: PublicHalf,
}

/// A public key, from a certificate or of a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicHalf {
    /// The bytes of the SubjectPublicKeyInfo.
    pub(crate) info: Vec<u8>,
    /// Of what kind it is.
    pub(crate) kind: KeyKind,
}

/// The kinds of keys that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// RSA with so many bits.
    Rsa(usize),
    /// ECDSA on P-256.
    P256,
    /// Any other, by its name.
    Other(&'static str),
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// It needs a passphrase.
    Encrypted,
    /// What stands there is none that can be used.
    Unreadable(String),
}

/// Reads all PEM certificates in a file.
///
/// # Errors
///
/// What is wrong with the file, in one line.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(without_bom(pem))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if found.is_empty() {
        return Err("holds no PEM certificate".to_owned());
    }
    found.iter().map(|der| certificate(der)).collect()
}

/// Reads one certificate.
///
/// # Errors
///
/// What is wrong with it, in one line.
pub(crate) fn certificate(der: &[u8]) -> Result<Certificate, String> {
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|error| format!("no certificate: {error}"))?;
    let validity = parsed.validity();
    Ok(Certificate {
        der: der.to_vec(),
        subject: parsed.subject().to_string(),
        is_self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        names: names(&parsed),
        not_before: validity.not_before.to_datetime(),
        not_after: validity.not_after.to_datetime(),
        key: public_half(parsed.public_key()),
    })
}

/// Reads the public half of the first PEM key in a file.
///
/// # Errors
///
/// Why there is none.
pub(crate) fn key(pem: &[u8]) -> Result<PublicHalf, NoKey> {
    let pem = without_bom(pem);
    let is_encrypted = pem.windows(9).any(|window| window == b"ENCRYPTED");
    let private = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        if is_encrypted {
            NoKey::Encrypted
        } else {
            NoKey::Unreadable("holds no PEM key".to_owned())
        }
    })?;
    let unusable = || {
        if is_encrypted {
            return NoKey::Encrypted;
        }
        NoKey::Unreadable("the key is damaged or of a kind that is not supported".to_owned())
    };
    let signing = any_supported_type(&private).map_err(|_| unusable())?;
    let info = signing.public_key().ok_or_else(unusable)?;
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&info).map_err(|_| unusable())?;
    Ok(public_half(&parsed))
}

/// The bytes behind a byte order mark, which Windows editors put in front of a text.
pub(crate) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn public_half(info: &SubjectPublicKeyInfo<'_>) -> PublicHalf {
    let algorithm = &info.algorithm.algorithm;
    let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    let kind = if *algorithm == OID_PKCS1_RSAENCRYPTION {
        match info.parsed() {
            Ok(PublicKey::RSA(rsa)) => KeyKind::Rsa(rsa.key_size()),
            _ => KeyKind::Other("damaged RSA"),
        }
    } else if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        if curve == Some(OID_EC_P256) { KeyKind::P256 } else { KeyKind::Other("EC") }
    } else if *algorithm == OID_KEY_TYPE_DSA {
        KeyKind::Other("DSA")
    } else if *algorithm == OID_SIG_ED25519 {
        KeyKind::Other("Ed25519")
    } else if *algorithm == OID_PKCS1_RSASSAPSS {
        KeyKind::Other("RSA-PSS")
    } else {
        KeyKind::Other("unknown")
    };
    PublicHalf { info: info.raw.to_vec(), kind }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A certificate and its key, as PEM.
    fn pair() -> (Vec<u8>, String) {
        let key = KeyPair::generate().expect("keys can be made");
        let names = ["cm.example".to_owned(), "192.0.2.1".to_owned()];
        let parameters = CertificateParams::new(names).expect("these are names");
        let certificate = parameters.self_signed(&key).expect("the key can sign");
        (certificate.der().to_vec(), key.serialize_pem())
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_is_read_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let (mut der, _) = pair();
            prop_assert_eq!(
                certificate(&der).map(|read| read.names),
                Ok(vec!["cm.example".to_owned(), "192.0.2.1".to_owned()])
            );
            for (place, byte) in changes {
                *place.get_mut(&mut der) = byte;
            }

            let (whole, short) = (certificate(&der), certificate(&der[..cut.index(der.len())]));

            prop_assert!(whole.is_err() || whole.is_ok_and(|read| read.der == der));
            prop_assert!(short.is_err());
        }

        #[test]
        fn a_damaged_key_is_read_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), 32..127_u8), 0..3),
            before in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut pem = pair().1.into_bytes();
            prop_assert_eq!(key(&pem).map(|half| half.kind), Ok(KeyKind::P256));
            for (place, byte) in changes {
                *place.get_mut(&mut pem) = byte;
            }
            pem.splice(0..0, before);

            if let Err(NoKey::Unreadable(why)) = key(&pem) {
                prop_assert!(!why.contains('\n'));
            }
            let _ = certificates(&pem);
        }
    }
}
