//! Reads private keys as far as their public half, also of those that are refused later: who gives
//! a short key with its certificate is told that it is short, not that it is damaged.

use cmsg_config::pem::{self, Problem};
use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{PrivateKeyDer, alg_id},
    sign::public_key_to_spki,
};
use x509_parser::{
    oid_registry::{
        OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION,
        OID_PKCS1_RSASSAPSS, OID_SIG_ED25519,
        asn1_rs::{Oid, Sequence, ToDer as _},
    },
    prelude::FromDer as _,
    public_key::{PublicKey, RSAPublicKey},
    x509::SubjectPublicKeyInfo,
};

use super::form::{Form, Holds, elements, inside};

/// The fewest bits of an RSA key.
pub(crate) const LEAST_BITS: usize = 2048;
/// The most that the cryptographic library takes.
pub(crate) const MOST_BITS: usize = 8192;

/// A public key, from a certificate or of a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicHalf {
    /// The bytes of the SubjectPublicKeyInfo; none where only the kind of a private key is known.
    pub(crate) info: Vec<u8>,
    /// Of what kind it is.
    pub(crate) kind: KeyKind,
}

/// The kinds of keys that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// RSA with so many bits.
    Rsa(usize),
    P256,
    /// Any other, by its name.
    Other(&'static str),
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// It needs a passphrase.
    Encrypted,
    /// The file has another form.
    Form(Form),
    /// A section would be skipped, or it is not the only key.
    Pem(Problem),
    /// It cannot be used.
    Damaged,
}

impl PublicHalf {
    /// Whether this half of a private key and that of a certificate are the same, as far as it can
    /// be told.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        if self.info.is_empty() { self.kind == other.kind } else { self.info == other.info }
    }

    fn only(kind: &'static str) -> Self {
        Self { info: Vec::new(), kind: KeyKind::Other(kind) }
    }
}

/// Reads the public half of the PEM key in a file.
///
/// # Errors
///
/// Why there is none.
pub(crate) fn key(bytes: &[u8]) -> Result<PublicHalf, NoKey> {
    let private = match pem::key(bytes) {
        Ok(private) => private,
        Err(why) if why.is_skipped() || matches!(why, Problem::SeveralKeys(_)) => {
            return Err(NoKey::Pem(why));
        }
        Err(_) => return unread(bytes),
    };
    // The library would take a key for RSA-PSS for one for RSA.
    if let Some(kind @ ("DSA" | "RSA-PSS" | "unknown")) = other_kind(&private) {
        return Ok(PublicHalf::only(kind));
    }
    let Ok(signing) = any_supported_type(&private) else {
        return not_taken(&private).ok_or(NoKey::Damaged);
    };
    let info = signing.public_key().ok_or(NoKey::Damaged)?;
    let (_, parsed) = SubjectPublicKeyInfo::from_der(&info).map_err(|_| NoKey::Damaged)?;
    Ok(public_half(&parsed))
}

/// A file of which the reader takes no key.
fn unread(bytes: &[u8]) -> Result<PublicHalf, NoKey> {
    match Form::of(bytes) {
        Form::Pem(holds) if holds.contains(&Holds::EncryptedKey) => Err(NoKey::Encrypted),
        Form::Der(Holds::EncryptedKey) => Err(NoKey::Encrypted),
        Form::Pem(holds) if holds.contains(&Holds::DsaKey) => Ok(PublicHalf::only("DSA")),
        Form::Pem(holds) if holds.contains(&Holds::Key) => Err(NoKey::Damaged),
        form => Err(NoKey::Form(form)),
    }
}

pub(super) fn public_half(info: &SubjectPublicKeyInfo<'_>) -> PublicHalf {
    let curve = info.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    let kind = match kind(&info.algorithm.algorithm) {
        None => match info.parsed() {
            Ok(PublicKey::RSA(rsa)) => KeyKind::Rsa(bits(&rsa)),
            _ => KeyKind::Other("damaged RSA"),
        },
        Some("EC") if curve == Some(OID_EC_P256) => KeyKind::P256,
        Some(other) => KeyKind::Other(other),
    };
    PublicHalf { info: info.raw.to_vec(), kind }
}

/// The name of a kind of keys; none for RSA.
fn kind(algorithm: &Oid<'_>) -> Option<&'static str> {
    let table = [
        (OID_KEY_TYPE_EC_PUBLIC_KEY, "EC"),
        (OID_KEY_TYPE_DSA, "DSA"),
        (OID_SIG_ED25519, "Ed25519"),
        (OID_PKCS1_RSASSAPSS, "RSA-PSS"),
    ];
    if *algorithm == OID_PKCS1_RSAENCRYPTION {
        return None;
    }
    let known = table.into_iter().find(|(oid, _)| oid == algorithm);
    Some(known.map_or("unknown", |(_, name)| name))
}

fn other_kind(private: &PrivateKeyDer<'_>) -> Option<&'static str> {
    match private {
        PrivateKeyDer::Pkcs8(der) => {
            let [_, algorithm, ..] = &elements(der.secret_pkcs8_der())[..] else { return None };
            let [oid, ..] = &inside(algorithm.data)[..] else { return None };
            kind(&oid.clone().oid().ok()?)
        }
        PrivateKeyDer::Sec1(_) => Some("EC"),
        _ => None,
    }
}

/// The public half of a key that the library does not take.
fn not_taken(private: &PrivateKeyDer<'_>) -> Option<PublicHalf> {
    if let Some(kind) = other_kind(private) {
        return Some(PublicHalf::only(kind));
    }
    let rsa = match private {
        PrivateKeyDer::Pkcs1(der) => der.secret_pkcs1_der(),
        PrivateKeyDer::Pkcs8(der) => elements(der.secret_pkcs8_der()).get(2)?.data,
        _ => return None,
    };
    let [_, modulus, exponent, ..] = &elements(rsa)[..] else { return None };
    let public = RSAPublicKey { modulus: modulus.data, exponent: exponent.data };
    let bits = bits(&public);
    if (LEAST_BITS..=MOST_BITS).contains(&bits) {
        return None;
    }
    let both = [modulus.to_der_vec().ok()?, exponent.to_der_vec().ok()?].concat();
    let public = Sequence::new(both.into()).to_der_vec().ok()?;
    let info = public_key_to_spki(&alg_id::RSA_ENCRYPTION, public).to_vec();
    Some(PublicHalf { info, kind: KeyKind::Rsa(bits) })
}

/// The length of the modulus without its leading zeros.
fn bits(key: &RSAPublicKey<'_>) -> usize {
    let zeros = key.modulus.iter().take_while(|byte| **byte == 0).count();
    let significant = &key.modulus[zeros..];
    let leading = significant.first().map_or(0, |byte| byte.leading_zeros() as usize);
    significant.len() * 8 - leading
}
