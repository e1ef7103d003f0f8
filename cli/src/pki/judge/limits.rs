//! What authorities and those below them say of each other: limits of an authority, and key
//! identifiers.

use crate::{finding::Finding, pki::inspect::Certificate};

/// Judges a path, the host's own certificate first.
pub(super) fn judge(path: &[&Certificate]) -> Vec<Finding> {
    let [leaf, issuers @ ..] = path else { return Vec::new() };
    let mut findings = Vec::new();
    for (at, issuer) in issuers.iter().enumerate() {
        findings.extend(path_length(issuer, &issuers[..at]));
        findings.extend(names(issuer, leaf));
    }
    findings.extend(path.windows(2).filter_map(|pair| identifiers(pair[0], pair[1])));
    findings
}

/// OpenSSL takes no certificate for an issuer whose key identifier, or serial number, is not the one
/// that is named.
fn identifiers(child: &Certificate, issuer: &Certificate) -> Option<Finding> {
    child.names_other_issuer(issuer).then(|| {
        Finding::error(
            "certificate.key-identifier",
            format!(
                "the authority key identifier of `{}` does not match the certificate of its issuer \
                 `{}`",
                child.subject, issuer.subject
            ),
            "use the issuer certificate that signed it: a renewed authority has several \
             certificates with the same name",
        )
    })
}

/// Authorities that name themselves as their issuer do not count.
fn path_length(issuer: &Certificate, below: &[&Certificate]) -> Option<Finding> {
    let most = issuer.path_length?;
    let count = below.iter().filter(|one| !one.is_self_issued).count();
    u32::try_from(count).is_ok_and(|count| count > most).then(|| {
        Finding::error(
            "certificate.path-length",
            format!(
                "the issuer `{}` limits the number of authorities below it to {most} (`pathlen`), \
                 but the chain has {count}",
                issuer.subject
            ),
            "have the certificate issued by an authority that is allowed to issue it",
        )
    })
}

fn names(issuer: &Certificate, leaf: &Certificate) -> Option<Finding> {
    let name = issuer.constraints.refused(&leaf.names)?;
    Some(Finding::error(
        "certificate.name-constraints",
        format!("the issuer `{}` may not issue certificates for `{name}`", issuer.subject),
        "have the certificate issued by an authority whose name constraints permit its names, or \
         request it without that name",
    ))
}
