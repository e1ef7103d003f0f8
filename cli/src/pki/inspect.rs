//! Reads certificates into what the checks ask for. Keys are read in `key`; what a file is that is
//! no PEM file of the kind asked for, `form` says.

mod form;
mod key;
mod names;

use std::net::IpAddr;

use cmsg_config::pem::{self, Problem};
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    error::X509Error,
    extensions::GeneralName,
    oid_registry::{
        OID_HASH_SHA1, OID_MD5_WITH_RSA, OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384,
        OID_NIST_HASH_SHA512, OID_PKCS1_MD2WITHRSAENC, OID_PKCS1_MD4WITHRSAENC,
        OID_PKCS1_MD5WITHRSAENC, OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_SIG_DSA_WITH_SHA1,
        asn1_rs::{Oid, oid},
    },
    prelude::FromDer as _,
    signature_algorithm::SignatureAlgorithm,
    x509::X509Version,
};

use crate::shown::one_line;

pub(crate) use form::{Form, Holds, has_private_key};
pub(crate) use key::{KeyKind, LEAST_BITS, MOST_BITS, NoKey, PublicHalf, key};
pub(crate) use names::{Constraints, Name};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// Whether it names the same as issuer.
    pub(crate) is_self_issued: bool,
    /// Alternative names: DNS names and addresses.
    pub(crate) names: Vec<Name>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    pub(crate) key: PublicHalf,
    /// Whether it has version 3, the only one that says what it is for.
    pub(crate) is_version_3: bool,
    /// Whether it may issue others.
    pub(crate) is_authority: bool,
    /// How many authorities may stand between it and the host's own certificate, if it says so.
    pub(crate) path_length: Option<u32>,
    /// The names that it may issue certificates for.
    pub(crate) constraints: Constraints,
    /// What its key may be used for.
    pub(crate) key_usage: KeyUsage,
    /// Whether it may be a server's, or issue a server's.
    pub(crate) may_serve: bool,
    /// The digest of its signature, where that proves nothing.
    pub(crate) weak_digest: Option<&'static str>,
}

/// What the key usage of a certificate allows in TLS. One without that extension allows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyUsage {
    /// Signing the handshake, as TLS 1.3 and all forward-secret suites do.
    Signs,
    /// Only what TLS 1.2 and older versions did without forward secrecy.
    Encrypts,
    /// Nothing that a server does.
    Other,
}

/// Reads all PEM certificates in a file.
///
/// # Errors
///
/// What is wrong with the file, in one line.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<Certificate>, Problem> {
    let found = pem::certificates(bytes)?;
    found.iter().map(|der| certificate(der).map_err(Problem::Damaged)).collect()
}

/// Reads one certificate.
///
/// # Errors
///
/// What is wrong with it, in one line.
pub(crate) fn certificate(der: &[u8]) -> Result<Certificate, String> {
    let (rest, parsed) =
        X509Certificate::from_der(der).map_err(|error| format!("not a certificate: {error}"))?;
    if !rest.is_empty() {
        return Err(format!("{} extra bytes follow a certificate in its PEM section", rest.len()));
    }
    let validity = parsed.validity();
    Ok(Certificate {
        der: der.to_vec(),
        subject: one_line(&parsed.subject().to_string()),
        issuer: one_line(&parsed.issuer().to_string()),
        is_self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        names: names(&parsed),
        not_before: validity.not_before.to_datetime(),
        not_after: validity.not_after.to_datetime(),
        key: key::public_half(parsed.public_key()),
        is_version_3: parsed.version() == X509Version::V3,
        is_authority: is_authority(&parsed),
        path_length: path_length(&parsed),
        constraints: Constraints::of(&parsed),
        key_usage: KeyUsage::of(&parsed),
        may_serve: may_serve(&parsed),
        weak_digest: weak_digest(&parsed),
    })
}

impl Certificate {
    /// Whether the other one issued this one. Where nobody can tell by the signature, for its
    /// digest or key is of a kind that is not verified any more, the names decide.
    pub(crate) fn is_issued_by(&self, issuer: &Self) -> bool {
        let (Ok((_, child)), Ok((_, parent))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        if child.issuer().as_raw() != parent.subject().as_raw() {
            return false;
        }
        let is_short = matches!(issuer.key.kind, KeyKind::Rsa(bits) if bits < LEAST_BITS);
        match child.verify_signature(Some(parent.public_key())) {
            Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => true,
            Err(_) => is_short || has_odd_salt(&child),
        }
    }

    /// Whether its authority key identifier says that another certificate of its issuer's signed
    /// it.
    pub(crate) fn names_other_issuer(&self, issuer: &Self) -> bool {
        let (Ok((_, child)), Ok((_, parent))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        names::names_other_issuer(&child, &parent)
    }

    /// Whether it is signed with its own key.
    pub(crate) fn is_root(&self) -> bool {
        self.is_self_issued && self.is_issued_by(self)
    }
}

/// Whether the salt is not as long as the digest. OpenSSL takes and makes such signatures, the
/// library here verifies none.
fn has_odd_salt(certificate: &X509Certificate<'_>) -> bool {
    let table =
        [(OID_NIST_HASH_SHA256, 32), (OID_NIST_HASH_SHA384, 48), (OID_NIST_HASH_SHA512, 64)];
    match SignatureAlgorithm::try_from(&certificate.signature_algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(pss)) => {
            !table.contains(&(pss.hash_algorithm_oid().clone(), pss.salt_length()))
        }
        _ => false,
    }
}

impl KeyUsage {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        match certificate.key_usage() {
            Ok(Some(usage)) if usage.value.digital_signature() => Self::Signs,
            Ok(Some(usage)) if usage.value.key_encipherment() || usage.value.key_agreement() => {
                Self::Encrypts
            }
            Ok(Some(_)) => Self::Other,
            _ => Self::Signs,
        }
    }
}

fn path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    certificate.basic_constraints().ok()??.value.path_len_constraint
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Name> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(Name::Dns((*name).to_owned())),
        GeneralName::IPAddress(bytes) => address(bytes).map(Name::Address),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// As the daemon tells authorities.
fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.key_usage();
    certificate.is_ca()
        && usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()))
}

fn may_serve(certificate: &X509Certificate<'_>) -> bool {
    let usage = certificate.extended_key_usage();
    usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.server_auth))
}

fn weak_digest(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    const ECDSA_WITH_SHA1: Oid<'static> = oid!(1.2.840.10045.4.1);
    const OLDEST: [Oid<'static>; 4] = [
        OID_MD5_WITH_RSA,
        OID_PKCS1_MD5WITHRSAENC,
        OID_PKCS1_MD4WITHRSAENC,
        OID_PKCS1_MD2WITHRSAENC,
    ];
    const SHA1: [Oid<'static>; 4] =
        [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_SIG_DSA_WITH_SHA1, ECDSA_WITH_SHA1];
    let algorithm = &certificate.signature_algorithm;
    let is_pss_with_sha1 = || match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(pss)) => *pss.hash_algorithm_oid() == OID_HASH_SHA1,
        _ => false,
    };
    if OLDEST.contains(&algorithm.algorithm) {
        Some("MD5")
    } else if SHA1.contains(&algorithm.algorithm) || is_pss_with_sha1() {
        Some("SHA-1")
    } else {
        None
    }
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
                Ok(["cm.example", "192.0.2.1"].map(Name::of).to_vec())
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

            if let Err(NoKey::Form(form)) = key(&pem) {
                prop_assert_eq!(form, Form::of(&pem));
            }
            if let Err(why) = certificates(&pem) {
                prop_assert!(!why.to_string().contains('\n'));
            }
        }
    }
}
