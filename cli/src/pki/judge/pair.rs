//! Judges a certificate and its key that no client of ours sees: whether they are such, and belong
//! together.

use super::{Named, files};
use crate::finding::Finding;

/// Judges both. A file is left out that was not given or could not be read.
pub(crate) fn pair(certificate: Option<Named<'_>>, key: Option<Named<'_>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all = certificate.and_then(|file| files::certificates(file, &mut findings));
    let half = key.and_then(|file| files::key(file, &mut findings));
    if let (Some(all), Some(half), Some(key)) = (all, half, key)
        && !all.first().is_some_and(|first| half.fits(&first.key))
    {
        findings.push(Finding::error(
            "key.mismatch",
            format!("the key of {} does not belong to the certificate", key.flag()),
            "use the key that the certificate was requested with",
        ));
    }
    findings
}
