//! Judges certificates and keys of the operator's, on their bytes alone. `docs/certificates.md`
//! lists every finding.

mod announcing;
mod chain;
mod files;
mod leaf;
mod limits;
mod pair;
mod strict;

use std::path::Path;

use cmsg_config::pem;
use rustls::{crypto::aws_lc_rs, sign::CertifiedKey};
use time::OffsetDateTime;

use super::inspect::{Certificate, PublicHalf};
use crate::{args::settings::Setting, finding::Finding};
pub(crate) use announcing::announcing;
use chain::Chain;
pub(crate) use pair::pair;

/// A file of the operator's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    /// The setting that names it.
    pub(crate) setting: Setting,
    pub(crate) path: &'a Path,
    /// What the file contains.
    pub(crate) bytes: &'a [u8],
    /// Whether it is the installed copy of a file that is gone.
    pub(crate) is_copy: bool,
}

/// What concerns TLS of both roles. A file is left out that could not be read.
#[derive(Debug, Clone)]
pub(crate) struct Tls<'a> {
    /// The certificate and its chain.
    pub(crate) certificate: Option<Named<'a>>,
    pub(crate) key: Option<Named<'a>>,
    pub(crate) authority: Option<Named<'a>>,
    /// By what clients call this host, with the flags that say so.
    pub(crate) names: Vec<(Setting, String)>,
    pub(crate) now: OffsetDateTime,
}

/// Longer chains no client takes.
const MOST_CERTIFICATES: usize = 32;

/// Judges the certificate of both roles with its chain and its key, and the authority's.
pub(crate) fn tls(asked: &Tls<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shown = asked.certificate.and_then(|file| files::certificates(file, &mut findings));
    let half = asked.key.and_then(|file| files::key(file, &mut findings));
    let mut of_authority = Vec::new();
    let authority = asked.authority.and_then(|file| files::certificates(file, &mut of_authority));

    if let (Some(file), Some(shown)) = (asked.certificate, &shown) {
        findings.extend(chained(asked, file, shown, half.as_ref(), authority.as_deref()));
    }
    if !findings.iter().any(Finding::is_error)
        && let (Some(certificate), Some(key)) = (asked.certificate, asked.key)
    {
        findings.extend(unusable(certificate, key));
    }
    if let (Some(file), Some(authority)) = (asked.authority, &authority) {
        let shown = shown.as_deref().unwrap_or_default();
        of_authority.extend(authorities(file, authority, shown, asked.now));
    }
    findings.extend(of_authority);
    findings
}

impl Named<'_> {
    /// The flag with its value, which may come from saved answers or the environment; or the
    /// installed copy.
    fn flag(&self) -> String {
        if self.is_copy {
            return format!("the installed `{}`", self.path.display());
        }
        format!("`--{} {}`", self.setting, self.path.display())
    }

    /// How to fix a damaged file.
    fn cure(&self, cure: String) -> String {
        if !self.is_copy {
            return cure;
        }
        format!("restore it from a backup, or specify the file again: `--{} FILE`", self.setting)
    }

    /// The file's name in a command.
    fn file(&self) -> String {
        self.path.display().to_string()
    }
}

/// The findings about the certificate, its chain, and whether the key belongs to it.
fn chained(
    asked: &Tls<'_>,
    file: Named<'_>,
    shown: &[Certificate],
    half: Option<&PublicHalf>,
    authority: Option<&[Certificate]>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = half.map(|half| shown.iter().position(|one| half.fits(&one.key)));
    if let (Some(None), Some(key)) = (own, asked.key) {
        findings.push(Finding::error(
            "key.mismatch",
            format!("the key of {} does not belong to the certificate", key.flag()),
            "use the key that the certificate was requested with",
        ));
    }
    let first = || shown.iter().position(|one| !one.is_authority);
    let leaf = own.flatten().or_else(first).unwrap_or_default();
    findings.extend(leaf::judge(&shown[leaf], &asked.names, asked.now));
    if shown.len() > MOST_CERTIFICATES {
        findings.push(Finding::error(
            "certificate.too-many",
            format!("{} contains {} certificates, too many for a chain", file.flag(), shown.len()),
            "leave only the certificate and the authorities between it and the root",
        ));
    } else {
        let chain = Chain { file, shown, leaf, authority, now: asked.now };
        findings.extend(chain.judge());
        if !findings.iter().any(Finding::is_error)
            && let Some(shown) = chain.shown_to_clients()
        {
            findings.extend(shown.judge(asked.now));
        }
    }
    findings
}

/// What only the library that will use the pair finds.
fn unusable(certificate: Named<'_>, key: Named<'_>) -> Option<Finding> {
    let chain = pem::certificates(certificate.bytes).ok()?;
    let key = pem::key(key.bytes).ok()?;
    let error = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).err()?;
    Some(Finding::error(
        "certificate.unusable",
        format!("{} cannot be used: {error}", certificate.flag()),
        "request another certificate with standard extensions",
    ))
}

/// Judges certificates of an authority.
fn authorities(
    file: Named<'_>,
    all: &[Certificate],
    shown: &[Certificate],
    now: OffsetDateTime,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if all.iter().all(|certificate| certificate.not_after < now) {
        findings.push(Finding::error(
            "certificate.authority-expired",
            format!("all certificates in {} have expired", file.flag()),
            "use the authority's current certificate",
        ));
    }
    // A root from before version 3 cannot say it, and clients believe it.
    let is_old_root = |one: &Certificate| {
        !one.is_version_3 && one.is_root() && shown.iter().any(|below| below.is_issued_by(one))
    };
    let others: Vec<_> = all.iter().filter(|one| !one.is_authority && !is_old_root(one)).collect();
    if let [first, ..] = others[..] {
        let verb = match others.len() {
            1 => "is not a CA certificate and verifies nothing but itself",
            _ => "are not CA certificates and verify nothing but themselves",
        };
        findings.push(Finding::warning(
            "certificate.not-authority",
            format!(
                "{} of {} certificates in {} {verb}; the first is `{}`",
                others.len(),
                all.len(),
                file.flag(),
                first.subject
            ),
            "use the authority's certificate, which has `CA:TRUE`; keep other certificates only \
             for peers that present exactly them",
        ));
    }
    findings
}

#[cfg(test)]
mod tests;
