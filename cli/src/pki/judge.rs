//! Judges certificates and keys of the operator's, on their bytes alone.

use time::{Duration, OffsetDateTime};

use super::inspect::{self, Certificate, KeyKind, NoKey, PublicHalf};
use crate::finding::Finding;

/// The fewest bits of an RSA key.
const LEAST_BITS: usize = 2048;
/// The bits that the guide recommends.
const GOOD_BITS: usize = 3072;
/// When to say that a certificate expires.
const EXPIRES_SOON: Duration = Duration::days(30);

/// A file of the operator's, with the flag that names it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    /// The flag without its dashes.
    pub(crate) setting: &'static str,
    /// What the file contains.
    pub(crate) bytes: &'a [u8],
}

/// Judges the certificate of both roles and its key.
pub(crate) fn tls(certificate: Named<'_>, key: Named<'_>, now: OffsetDateTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    let leaf = match inspect::certificates(certificate.bytes) {
        Ok(certificates) => certificates.into_iter().next(),
        Err(why) => {
            findings.push(unreadable(certificate, &why));
            None
        }
    };
    if let Some(leaf) = &leaf {
        findings.extend(key_kind(leaf));
        findings.extend(dates(leaf, now));
    }
    match (inspect::key(key.bytes), leaf) {
        (Err(why), _) => findings.push(no_key(key, why)),
        (Ok(half), Some(leaf)) if half != leaf.key => findings.push(Finding::error(
            "key.mismatch",
            format!("the key of `--{}` is not the key of the certificate", key.setting),
            "give the key that the certificate was requested with",
        )),
        _ => {}
    }
    findings
}

/// Judges certificates of an authority.
pub(crate) fn authority(file: Named<'_>, now: OffsetDateTime) -> Vec<Finding> {
    match inspect::certificates(file.bytes) {
        Err(why) => vec![unreadable(file, &why)],
        Ok(all) if all.iter().all(|certificate| certificate.not_after < now) => {
            vec![Finding::error(
                "certificate.expired",
                format!("every certificate of `--{}` is expired", file.setting),
                "give the authority's present certificate",
            )]
        }
        Ok(_) => Vec::new(),
    }
}

/// Judges the key that signs announcements.
pub(crate) fn signing_key(file: Named<'_>) -> Vec<Finding> {
    match inspect::key(file.bytes) {
        Err(why) => vec![no_key(file, why)],
        Ok(half) => signs(&half, file, "key.type").into_iter().collect(),
    }
}

/// Judges the certificates that verify announcements. They stand for their keys; names and dates
/// do not matter.
pub(crate) fn verifying_certificates(file: Named<'_>) -> Vec<Finding> {
    match inspect::certificates(file.bytes) {
        Err(why) => vec![unreadable(file, &why)],
        Ok(all) => all.iter().filter_map(|c| signs(&c.key, file, "certificate.key-type")).collect(),
    }
}

fn signs(half: &PublicHalf, file: Named<'_>, id: &'static str) -> Option<Finding> {
    match half.kind {
        KeyKind::P256 => None,
        KeyKind::Rsa(bits) if bits >= LEAST_BITS => None,
        _ => Some(Finding::error(
            id,
            format!("a key of `--{}` is neither P-256 nor RSA with 2048 bits", file.setting),
            "leave it out to have a pair made, or give a P-256 or RSA key",
        )),
    }
}

fn key_kind(leaf: &Certificate) -> Option<Finding> {
    let cure = "request a certificate with an RSA key of 3072 bits";
    match leaf.key.kind {
        KeyKind::Rsa(bits) if bits < LEAST_BITS => Some(Finding::error(
            "certificate.key-too-short",
            format!("the certificate's RSA key has {bits} bits; {LEAST_BITS} are the least"),
            cure,
        )),
        KeyKind::Rsa(bits) if bits < GOOD_BITS => Some(Finding::warning(
            "certificate.key-short",
            format!("the certificate's RSA key has {bits} bits; {GOOD_BITS} are recommended"),
            cure,
        )),
        KeyKind::Rsa(_) => None,
        KeyKind::P256 => Some(wrong_kind("EC", cure)),
        KeyKind::Other(kind) => Some(wrong_kind(kind, cure)),
    }
}

fn wrong_kind(kind: &str, cure: &str) -> Finding {
    let what = format!("the certificate's key is of the kind {kind}; only RSA is supported");
    Finding::error("certificate.key-type", what, cure)
}

fn dates(leaf: &Certificate, now: OffsetDateTime) -> Option<Finding> {
    let (from, until) = (leaf.not_before.date(), leaf.not_after.date());
    if leaf.not_after < now {
        Some(Finding::error(
            "certificate.expired",
            format!("the certificate expired on {until}"),
            "give a certificate that is valid",
        ))
    } else if leaf.not_before > now {
        Some(Finding::error(
            "certificate.not-yet-valid",
            format!("the certificate is valid from {from} on"),
            "check this host's clock, or give a certificate that is valid",
        ))
    } else if leaf.not_after < now + EXPIRES_SOON {
        Some(Finding::warning(
            "certificate.expires-soon",
            format!("the certificate expires on {until}"),
            "request the next one",
        ))
    } else {
        None
    }
}

fn unreadable(file: Named<'_>, why: &str) -> Finding {
    Finding::error(
        "certificate.unreadable",
        format!("`--{}`: {why}", file.setting),
        "give a PEM file, which has a line `-----BEGIN CERTIFICATE-----`; \
         `openssl x509 -inform DER -in FILE` makes one of a DER file",
    )
}

fn no_key(file: Named<'_>, why: NoKey) -> Finding {
    match why {
        NoKey::Encrypted => Finding::error(
            "key.encrypted",
            format!("`--{}`: the key needs a passphrase", file.setting),
            "remove it with `openssl pkey -in KEY -out PLAIN`, and keep that file safe",
        ),
        NoKey::Unreadable(why) => Finding::error(
            "key.unreadable",
            format!("`--{}`: {why}", file.setting),
            "give a PEM file, which has a line `-----BEGIN PRIVATE KEY-----`",
        ),
    }
}

#[cfg(test)]
mod tests;
