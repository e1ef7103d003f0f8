//! The rules for the host's own certificate, and those that it shares with its issuers.

use time::{Duration, OffsetDateTime};

use super::strict;
use crate::{
    args::settings::Setting,
    finding::Finding,
    pki::inspect::{Certificate, KeyKind, KeyUsage, LEAST_BITS, MOST_BITS, Name},
};

/// The bits that the guide recommends.
const GOOD_BITS: usize = 3072;
/// When to say that a certificate expires.
const EXPIRES_SOON: Duration = Duration::days(30);
/// What cures most of it.
const REQUEST: &str = "request a certificate with an RSA key of 3072 bits, signed with SHA-256";

/// The findings about the certificate alone.
pub(super) fn judge(
    leaf: &Certificate,
    names: &[(Setting, String)],
    now: OffsetDateTime,
) -> Vec<Finding> {
    const WHO: &str = "the certificate";
    let mut findings: Vec<Finding> = key(leaf).into_iter().collect();
    findings.extend(signature(leaf, WHO));
    findings.extend(dates(leaf, WHO, now));
    if !leaf.is_version_3 {
        findings.push(Finding::error(
            "certificate.version",
            "the certificate uses X.509 version 1 or 2, which cannot list host names",
            "request it with `subjectAltName`; `openssl x509 -req` needs `-extfile FILE` for that",
        ));
    }
    findings.extend(usage(leaf, WHO));
    findings.extend(key_usage(leaf));
    if leaf.is_authority {
        findings.push(Finding::warning(
            "certificate.is-authority",
            "the certificate is a CA certificate (`CA:TRUE`), which many clients refuse from a \
             server",
            "request one without `CA:TRUE`",
        ));
    }
    let missing = names.iter().filter(|(_, name)| !is_named(leaf, name));
    findings.extend(missing.map(|(setting, name)| name_missing(leaf, *setting, name)));
    findings
}

/// The signature of a certificate that is no root.
pub(super) fn signature(certificate: &Certificate, who: &str) -> Option<Finding> {
    let digest = certificate.weak_digest?;
    Some(Finding::error(
        "certificate.signature-weak",
        format!("{who} is signed with {digest}, which can be forged"),
        REQUEST,
    ))
}

/// Whether a certificate may serve, where it says what it is for.
pub(super) fn usage(certificate: &Certificate, who: &str) -> Option<Finding> {
    (!certificate.may_serve).then(|| {
        Finding::error(
            "certificate.usage",
            format!("{who} is not valid for server authentication"),
            "request one with `extendedKeyUsage = serverAuth`",
        )
    })
}

/// Whether the key may do what TLS asks of a server's, where the certificate says what it may.
fn key_usage(leaf: &Certificate) -> Option<Finding> {
    const CURE: &str =
        "request one with `keyUsage = digitalSignature, keyEncipherment`, or without `keyUsage`";
    match leaf.key_usage {
        KeyUsage::Signs => None,
        KeyUsage::Encrypts => Some(Finding::warning(
            "certificate.key-usage",
            "the certificate's `keyUsage` lacks `digitalSignature`, which TLS 1.3 and strict \
             clients need",
            CURE,
        )),
        KeyUsage::Other => Some(Finding::error(
            "certificate.key-usage",
            "the certificate's `keyUsage` does not allow the key to be used by a TLS server",
            CURE,
        )),
    }
}

/// Whether a certificate is valid, and for how long.
pub(super) fn dates(certificate: &Certificate, who: &str, now: OffsetDateTime) -> Option<Finding> {
    let (from, until) = (certificate.not_before.date(), certificate.not_after.date());
    if certificate.not_after < now {
        Some(Finding::error(
            "certificate.expired",
            format!("{who} expired on {until}"),
            "use a valid certificate",
        ))
    } else if certificate.not_before > now {
        Some(Finding::error(
            "certificate.not-yet-valid",
            format!("{who} is not valid before {from}"),
            "check this host's clock, or use a valid certificate",
        ))
    } else if certificate.not_after < now + EXPIRES_SOON {
        Some(Finding::warning(
            "certificate.expires-soon",
            format!("{who} expires on {until}"),
            "request a new one before then",
        ))
    } else {
        None
    }
}

fn key(leaf: &Certificate) -> Option<Finding> {
    match leaf.key.kind {
        KeyKind::Rsa(bits) if bits < LEAST_BITS => Some(Finding::error(
            "certificate.key-too-short",
            format!("the certificate's RSA key has {bits} bits; the minimum is {LEAST_BITS}"),
            REQUEST,
        )),
        KeyKind::Rsa(bits) if bits > MOST_BITS => Some(Finding::error(
            "certificate.key-too-long",
            format!("the certificate's RSA key has {bits} bits; the maximum is {MOST_BITS}"),
            REQUEST,
        )),
        KeyKind::Rsa(bits) if bits < GOOD_BITS => Some(Finding::warning(
            "certificate.key-short",
            format!("the certificate's RSA key has {bits} bits; {GOOD_BITS} are recommended"),
            REQUEST,
        )),
        KeyKind::Rsa(_) => None,
        KeyKind::P256 => Some(wrong_kind("EC")),
        KeyKind::Other(kind) => Some(wrong_kind(kind)),
    }
}

fn wrong_kind(kind: &str) -> Finding {
    let what = format!("the certificate has a key of type {kind}; only RSA is supported");
    Finding::error("certificate.key-type", what, REQUEST)
}

fn name_missing(leaf: &Certificate, setting: Setting, name: &str) -> Finding {
    let wanted = Name::of(name);
    let kind = if matches!(wanted, Name::Address(_)) { "IP" } else { "DNS" };
    let is_written_as_dns = kind == "IP" && leaf.names.contains(&Name::Dns(name.to_owned()));
    let what = if is_written_as_dns {
        format!(
            "the certificate lists `{name}` (`--{setting}`) as a DNS name, but clients look for an \
             IP address"
        )
    } else {
        format!(
            "the certificate does not contain `{name}`, which clients connect to (`--{setting}`)"
        )
    };
    let cure = format!("request one with `{kind}:{name}` in its subject alternative names");
    Finding::warning("certificate.name-missing", what, cure)
}

/// Whether clients accept the certificate for a name. They differ in wildcards, and the strictest
/// count: the star stands for one whole label, and more than a top-level domain follows it.
fn is_named(leaf: &Certificate, name: &str) -> bool {
    let is_held = match Name::of(name.strip_suffix('.').unwrap_or(name)) {
        address @ Name::Address(_) => leaf.names.contains(&address),
        Name::Dns(name) => leaf.names.iter().any(|held| held.matches(&name)),
    };
    is_held && strict::is_named(leaf, name).unwrap_or(true)
}
