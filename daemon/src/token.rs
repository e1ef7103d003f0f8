//! Signed announcements and grants (JWT, RFC 7519): a Connection Manager signs with its key, a
//! gateway verifies with the certificates of its Connection Managers. The key determines the
//! algorithm, never the token. The `typ` of the token distinguishes grants from announcements (RFC
//! 8725, section 3.11).

use std::{net::IpAddr, path::Path};

use anyhow::{Context as _, bail};
use aws_lc_rs::{
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use cmsg_proto::{
    Time,
    control::{Claims, GrantClaims, GrantClaimsError},
    failover::Grant,
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation, decode, encode,
    errors::ErrorKind,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::de::DeserializeOwned;
use x509_parser::{
    asn1_rs::Any, certificate::X509Certificate, oid_registry::OID_EC_P256, prelude::FromDer as _,
    public_key::PublicKey, x509::SubjectPublicKeyInfo,
};

use crate::{reload::BadFile, tls};

#[cfg(test)]
mod tests;

/// A Connection Manager's key.
#[derive(Debug)]
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

impl Signer {
    /// Reads a PEM key: P-256 for ES256, RSA for RS256 (RFC 7518).
    ///
    /// # Errors
    ///
    /// If the file cannot be read or has no such key.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("reading the signing key `{}`", path.display());
        let private = tls::private_key(path).with_context(reading)?;
        let signer = Self::of(&private).with_context(reading);
        signer.map_err(|why| BadFile::new(path, why).into())
    }

    fn of(private: &PrivateKeyDer<'_>) -> anyhow::Result<Self> {
        let der = private.secret_der();
        let (algorithm, key) = if let PrivateKeyDer::Pkcs1(_) = *private {
            check_size(
                rsa::KeyPair::from_der(der)
                    .context("parsing it as an RSA key")?
                    .public_modulus_len(),
            )?;
            (Algorithm::RS256, EncodingKey::from_rsa_der(der))
        } else if let Ok(pair) = rsa::KeyPair::from_pkcs8(der) {
            check_size(pair.public_modulus_len())?;
            let key = pkcs1(der).context("parsing it as an RSA key")?;
            (Algorithm::RS256, EncodingKey::from_rsa_der(key))
        } else {
            let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                .context("the key is neither P-256 nor RSA")?;
            let document = pair.to_pkcs8v1().context("parsing it as a P-256 key")?;
            (Algorithm::ES256, EncodingKey::from_ec_der(document.as_ref()))
        };
        Ok(Self { header: Header::new(algorithm), key })
    }

    /// Signs the claims of an announcement.
    ///
    /// # Errors
    ///
    /// If the crypto library fails.
    pub fn sign(&self, claims: &Claims) -> anyhow::Result<String> {
        encode(&self.header, claims, &self.key).context("signing the announcement")
    }

    /// Signs the claims of a grant.
    ///
    /// # Errors
    ///
    /// If the token has more than [`Grant::MAX_BYTES`], since there are too many gateways or the key
    /// is too large, or if the crypto library fails.
    pub fn sign_grant(&self, claims: &GrantClaims) -> anyhow::Result<String> {
        let header = Header { typ: Some(GrantClaims::TYPE.to_owned()), ..self.header.clone() };
        let token = encode(&header, claims, &self.key).context("signing the grant")?;
        if token.len() > Grant::MAX_BYTES {
            let (bytes, gateways) = (token.len(), claims.aud.len());
            bail!(
                "the grant for {gateways} gateways has {bytes} bytes, and at most {} are possible",
                Grant::MAX_BYTES
            );
        }
        Ok(token)
    }
}

/// Why a grant is refused.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// It is larger than [`Grant::MAX_BYTES`].
    #[error("the grant is longer than {} bytes", Grant::MAX_BYTES)]
    TooLong,
    /// None of the Connection Managers has signed it.
    #[error("the grant is not signed with a known key")]
    UnknownKey,
    /// It is the token of an announcement, or of something else.
    #[error("the token is not a grant")]
    OtherType,
    /// It is not a token, or its payload is malformed.
    #[error("the grant is malformed")]
    Malformed(#[source] jsonwebtoken::errors::Error),
    /// Its claims are not acceptable.
    #[error(transparent)]
    Claims(#[from] GrantClaimsError),
}

/// The certificates of the Connection Managers that a gateway accepts.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<(DecodingKey, Validation)>,
}

impl Verifier {
    /// Reads a PEM file of certificates, each with a P-256 or RSA key. Only their keys are used, so
    /// their names and validity periods do not matter.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, has no certificate, or has one with another kind of key.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("reading the verifying certificates `{}`", path.display());
        let key = |certificate: &CertificateDer<'_>| {
            let (_, certificate) = X509Certificate::from_der(certificate)?;
            verifying_key(certificate.public_key())
        };
        let certificates = tls::certificates(path)?;
        let keys: anyhow::Result<_> = certificates.iter().map(key).collect();
        let keys = keys.with_context(reading).map_err(|why| BadFile::new(path, why))?;
        Ok(Self { keys })
    }

    /// The claims of a token that one of the keys signed. [`Claims::check`] checks them.
    ///
    /// # Errors
    ///
    /// If no key matches the signature, or the payload is malformed.
    pub fn verify(&self, token: &str) -> anyhow::Result<Claims> {
        if token.len() > MAX_TOKEN {
            bail!("the token is longer than {MAX_TOKEN} bytes");
        }
        let decoded = self.decode::<Claims>(token).context("reading the token")?;
        let Some(TokenData { header, claims, .. }) = decoded else {
            bail!("the token is not signed with a known key");
        };
        if header.typ.is_some_and(|kind| !kind.eq_ignore_ascii_case(ANNOUNCEMENT)) {
            bail!("the token is not that of an announcement");
        }
        Ok(claims)
    }

    /// The grant in a token that one of the keys signed, for a gateway with one of the addresses in
    /// `audience`. The same grant is accepted any number of times. Whether its agent is allowed is
    /// not checked.
    ///
    /// # Errors
    ///
    /// [`GrantError`] by variant.
    pub fn verify_grant(
        &self,
        token: &str,
        audience: &[IpAddr],
        wall: Time,
    ) -> Result<Grant, GrantError> {
        if token.len() > Grant::MAX_BYTES {
            return Err(GrantError::TooLong);
        }
        // The claims are only parsed if the type is right: those of an announcement differ.
        let decoded = self.decode::<serde_json::Value>(token).map_err(GrantError::Malformed)?;
        let TokenData { header, claims, .. } = decoded.ok_or(GrantError::UnknownKey)?;
        if header.typ.as_deref() != Some(GrantClaims::TYPE) {
            return Err(GrantError::OtherType);
        }
        let claims: GrantClaims =
            serde_json::from_value(claims).map_err(|error| GrantError::Malformed(error.into()))?;
        Ok(claims.check(token, audience, wall)?)
    }

    /// Header and payload of a token; `None` if none of the keys signed it.
    fn decode<T: DeserializeOwned + Clone>(
        &self,
        token: &str,
    ) -> Result<Option<TokenData<T>>, jsonwebtoken::errors::Error> {
        for (key, validation) in &self.keys {
            match decode(token, key, validation) {
                Ok(data) => return Ok(Some(data)),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(None)
    }
}

/// The `typ` of the token of an announcement.
const ANNOUNCEMENT: &str = "JWT";

/// Maximum size in bytes. Our claims have about 400 bytes, an RSA-4096 signature 700.
const MAX_TOKEN: usize = 4096;

/// Key sizes that RS256 verification supports, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

fn check_size(modulus_bytes: usize) -> anyhow::Result<()> {
    let bits = modulus_bytes * 8;
    if !RSA_BITS.contains(&bits) {
        bail!(
            "the RSA key has {bits} bits; {} to {} are accepted",
            RSA_BITS.start(),
            RSA_BITS.end()
        );
    }
    Ok(())
}

/// The PKCS#1 key inside a PKCS#8 key (RFC 5208).
fn pkcs1(pkcs8: &[u8]) -> Option<&[u8]> {
    let (_, outer) = Any::from_der(pkcs8).ok()?;
    let (rest, _version) = Any::from_der(outer.data).ok()?;
    let (rest, _algorithm) = Any::from_der(rest).ok()?;
    let (_, key) = Any::from_der(rest).ok()?;
    Some(key.data)
}

fn verifying_key(public: &SubjectPublicKeyInfo<'_>) -> anyhow::Result<(DecodingKey, Validation)> {
    let bytes = public.subject_public_key.data.as_ref();
    let curve = public.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok());
    let (algorithm, key) = match public.parsed().context("reading the public key")? {
        PublicKey::EC(_) if curve == Some(OID_EC_P256) => {
            (Algorithm::ES256, DecodingKey::from_ec_der(bytes))
        }
        PublicKey::RSA(rsa) => {
            check_size(rsa.key_size() / 8)?;
            (Algorithm::RS256, DecodingKey::from_rsa_der(bytes))
        }
        _ => bail!("the public key is neither P-256 nor RSA"),
    };
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    Ok((key, validation))
}
