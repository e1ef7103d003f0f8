//! The rules for the pair that signs and verifies announcements. Its certificates stand for their
//! keys; names and dates do not matter.

use super::{Named, files};
use crate::{
    finding::Finding,
    pki::inspect::{KeyKind, LEAST_BITS, MOST_BITS, PublicHalf},
};

/// Judges the key that signs and the certificates that verify, as far as they are given.
pub(crate) fn announcing(key: Option<Named<'_>>, certificates: Option<Named<'_>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let half = key.and_then(|file| files::key(file, &mut findings));
    if let (Some(file), Some(half)) = (key, &half) {
        findings.extend(signs(half, file, "key.type"));
    }
    let all = certificates.and_then(|file| files::certificates(file, &mut findings));
    if let (Some(file), Some(all)) = (certificates, &all) {
        findings.extend(all.iter().filter_map(|one| signs(&one.key, file, "certificate.key-type")));
    }
    if let (Some(key), Some(half), Some(file), Some(all)) = (key, &half, certificates, &all)
        && !all.iter().any(|one| half.fits(&one.key))
    {
        findings.push(Finding::error(
            "key.mismatch",
            format!("no certificate in {} matches the key of {}", file.flag(), key.flag()),
            format!(
                "put the key's own certificate first in that file; `openssl req -x509 -key {} \
                 -subj /CN=cm -days 3650` creates one",
                key.file()
            ),
        ));
    }
    findings
}

fn signs(half: &PublicHalf, file: Named<'_>, id: &'static str) -> Option<Finding> {
    match half.kind {
        KeyKind::P256 => None,
        KeyKind::Rsa(bits) if (LEAST_BITS..=MOST_BITS).contains(&bits) => None,
        _ => Some(Finding::error(
            id,
            format!(
                "the key in {} is neither P-256 nor RSA with {LEAST_BITS} to {MOST_BITS} bits",
                file.flag()
            ),
            "omit it to have a pair generated, or use a P-256 or RSA key",
        )),
    }
}
