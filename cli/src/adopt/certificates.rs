//! Which of its files is which: as it was said, else by what is in them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cmsg_config::socket::Role;

use crate::{
    args::settings::Setting,
    content::Content,
    finding::Finding,
    pki::inspect::{self, Certificate, KeyKind, PublicHalf},
};

/// A file, as far as it is understood.
struct File<'a> {
    path: &'a Path,
    key: Option<PublicHalf>,
    certificates: Vec<Certificate>,
}

/// A key and the file of its certificate.
struct Pair<'a> {
    key: &'a Path,
    half: &'a PublicHalf,
    certificate: &'a File<'a>,
}

/// What was found: settings and their files.
type CertificateFiles = Vec<(Setting, PathBuf)>;

/// Finds the files that nobody has named.
pub(super) fn find(
    said: &BTreeMap<Setting, PathBuf>,
    files: &[(PathBuf, Content)],
    roles: &[Role],
) -> (CertificateFiles, Vec<Finding>) {
    let read = |(path, content): &'_ (PathBuf, Content)| {
        let key = inspect::key(content.bytes()).ok();
        let certificates = inspect::certificates(content.bytes()).unwrap_or_default();
        (path.clone(), key, certificates)
    };
    let read: Vec<_> = files.iter().map(read).collect();
    let files: Vec<File<'_>> = read
        .iter()
        .map(|(path, key, all)| File { path, key: key.clone(), certificates: all.clone() })
        .collect();
    let (licence, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| has(file.path, "tcl-cert"));
    let mut found = trusted_licence(&licence);
    let named: Vec<&PathBuf> = said.values().collect();
    let is_free = |pair: &Pair<'_>| !named.iter().any(|path| *path == pair.key);
    let pairs: Vec<_> = pairs(&files).into_iter().filter(is_free).collect();
    let (announcing, tls): (Vec<_>, Vec<_>) = pairs.into_iter().partition(is_announcing);
    found.extend(for_announcements(&announcing, &files, roles));
    let mut findings = Vec::new();
    if !said.contains_key(&Setting::SslCert) && !said.contains_key(&Setting::SslKey) {
        match single(&tls) {
            Some(pair) => {
                found.push((Setting::SslKey, pair.key.to_owned()));
                found.push((Setting::SslCert, pair.certificate.path.to_owned()));
            }
            None => findings.push(not_found(&tls)),
        }
    }
    found.retain(|(setting, _)| !said.contains_key(setting));
    let certificate = said
        .get(&Setting::SslCert)
        .or_else(|| found.iter().find(|(it, _)| *it == Setting::SslCert).map(|(_, path)| path));
    let certificate = certificate.and_then(|path| files.iter().find(|file| file.path == path));
    if let Some(certificate) = certificate.filter(|_| !said.contains_key(&Setting::CaCert)) {
        match authority(certificate, &files) {
            Some(path) => found.push((Setting::CaCert, path.to_owned())),
            None => findings.push(Finding::warning(
                "adopt.certificate",
                format!(
                    "no file contains the authority that issued `{}`",
                    certificate.path.display()
                ),
                "set it with `--ca-cert FILE`",
            )),
        }
    }
    (found, findings)
}

fn has(path: &Path, word: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    name.contains(word)
}

/// The documented files of a trusted customer licence.
fn trusted_licence(files: &[File<'_>]) -> CertificateFiles {
    let certificate = files.iter().find(|file| !file.certificates.is_empty());
    let key = files.iter().find(|file| file.key.is_some());
    certificate
        .zip(key)
        .map(|(certificate, key)| {
            vec![
                (Setting::TrustedLicenseCert, certificate.path.to_owned()),
                (Setting::TrustedLicenseCertKey, key.path.to_owned()),
            ]
        })
        .unwrap_or_default()
}

fn pairs<'a>(files: &'a [File<'a>]) -> Vec<Pair<'a>> {
    let keys = files.iter().filter_map(|file| Some((file.path, file.key.as_ref()?)));
    let pairs = keys.flat_map(|(key, half)| {
        let fits = |file: &&File<'_>| file.certificates.iter().any(|it| half.fits(&it.key));
        files.iter().filter(fits).map(move |certificate| Pair { key, half, certificate })
    });
    pairs.collect()
}

/// A key for announcements is named so, or of a kind that TLS does not take.
fn is_announcing(pair: &Pair<'_>) -> bool {
    let is_named = has(pair.key, "jwt") || has(pair.certificate.path, "jwt");
    is_named || !matches!(pair.half.kind, KeyKind::Rsa(_))
}

fn for_announcements(pairs: &[Pair<'_>], files: &[File<'_>], roles: &[Role]) -> CertificateFiles {
    let mut found = CertificateFiles::new();
    let pair = single(pairs);
    if let Some(pair) = pair.filter(|_| roles.contains(&Role::Cm)) {
        found.push((Setting::JwtSigningKey, pair.key.to_owned()));
    }
    let alone = || files.iter().find(|file| has(file.path, "jwt") && !file.certificates.is_empty());
    let certificate = pair.map(|pair| pair.certificate).or_else(alone);
    if let Some(certificate) = certificate {
        found.push((Setting::JwtVerifyingCert, certificate.path.to_owned()));
    }
    found
}

/// The one pair; of several files with certificates of one key, that with the longest chain.
fn single<'a, 'b>(pairs: &'b [Pair<'a>]) -> Option<&'b Pair<'a>> {
    let first = pairs.first()?;
    if !pairs.iter().all(|pair| pair.half == first.half) {
        return None;
    }
    pairs.iter().rev().max_by_key(|pair| pair.certificate.certificates.len())
}

fn not_found(pairs: &[Pair<'_>]) -> Finding {
    let named: Vec<_> = pairs.iter().map(|it| format!("`{}`", it.key.display())).collect();
    let what = match named.is_empty() {
        true => "no certificate with a matching key was found".to_owned(),
        false => format!("several keys have a matching certificate: {}", named.join(", ")),
    };
    Finding::warning(
        "adopt.certificate",
        what,
        "set it with `--ssl-cert FILE`, `--ssl-key FILE` and `--ca-cert FILE`, or `--self-signed`",
    )
}

/// The file with the authority that has issued a chain: another one, or the chain itself.
fn authority<'a>(chain: &File<'a>, files: &[File<'a>]) -> Option<&'a Path> {
    let issues =
        |authority: &Certificate| chain.certificates.iter().any(|it| it.is_issued_by(authority));
    let mut others = files.iter().filter(|file| file.path != chain.path && file.key.is_none());
    let other =
        others.find(|file| file.certificates.iter().any(|it| it.is_authority && issues(it)));
    let own = || {
        let mut all = chain.certificates.iter();
        all.any(|it| it.is_self_issued || (it.is_authority && issues(it))).then_some(chain.path)
    };
    other.map(|file| file.path).or_else(own)
}
