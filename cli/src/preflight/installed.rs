//! Certificates and keys that are installed already: a damaged one is never replaced silently, since
//! clients may trust its key.

use std::path::{Path, PathBuf};

use cmsg_config::Paths;

use crate::{
    args::settings::Setting,
    content::Content,
    finding::Finding,
    host::Facts,
    installation::layout,
    pki::inspect::{self, NoKey},
    wanted::{Certificate, Wanted},
};

pub(crate) const ID: &str = "certificate.damaged";

/// Reports what is damaged.
pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let paths = wanted.place.paths();
    let mut findings = Vec::new();
    if wanted.certificate == Certificate::SelfSigned {
        findings.extend(self_signed(facts, &paths));
    }
    if wanted.connection_manager.is_some() && !facts.given.contains_key(&Setting::JwtSigningKey) {
        findings.extend(signing(facts, &paths));
    }
    findings.extend(wanted.given().iter().filter_map(|given| {
        let path = layout::copy(&paths, given.setting);
        let why = problem(&path, facts.base().content(&path)?)?;
        // The copy that is used is judged as the given file.
        let is_used = facts.copies.contains(&given.setting);
        (!is_used && facts.given.get(&given.setting)?.is_ok()).then(|| {
            let cure = format!("`install` replaces it with `{}`", given.path.display());
            Finding::warning(ID, damaged(&path, &why), cure)
        })
    }));
    findings
}

/// What is wrong with a file of certificates or a key, by its name.
pub(crate) fn problem(path: &Path, content: &Content) -> Option<String> {
    if path.extension().is_some_and(|extension| extension == "key") {
        return inspect::key(content.bytes()).err().map(|why| no_key(&why));
    }
    if path.extension().is_some_and(|extension| extension == "crt") {
        return inspect::certificates(content.bytes()).err().map(|why| why.to_string());
    }
    None
}

/// An installed certificate that cannot be read, as `status` reports it.
pub(crate) fn unreadable(path: &Path, why: &str) -> Finding {
    let what = format!("the certificate `{}` cannot be read: {why}", path.display());
    let cure = "restore it from a backup; `pcoip-cmsg-setup validate` reports how to replace it";
    Finding::error(ID, what, cure)
}

fn self_signed(facts: &Facts, paths: &Paths) -> Option<Finding> {
    let [key, certificate] = [layout::key(paths), layout::certificate(paths)];
    let base = facts.base();
    let content = |path: &PathBuf| base.content(path);
    let anew = format!(
        "restore it from a backup, or remove `{}` and `{}` so that a new pair is generated, which clients must then trust",
        certificate.display(),
        key.display()
    );
    let (half, shown) = match (content(&key), content(&certificate)) {
        (None, None) => return None,
        (None, Some(_)) => {
            let what = format!("the installed `{}` is missing", key.display());
            return Some(Finding::error(ID, what, anew));
        }
        (Some(half), shown) => (half, shown),
    };
    if let Some(why) = problem(&key, half) {
        return Some(Finding::error(ID, damaged(&key, &why), anew));
    }
    if let Some(why) = problem(&certificate, shown?) {
        let cure = "restore it from a backup, or remove it: `install` then generates another one for the same key";
        return Some(Finding::error(ID, damaged(&certificate, &why), cure));
    }
    let half = inspect::key(half.bytes()).ok()?;
    let shown = inspect::certificates(shown?.bytes()).ok()?;
    let fits = shown.iter().any(|certificate| half.fits(&certificate.key));
    (!fits).then(|| {
        let (key, certificate) = (key.display(), certificate.display());
        let what = format!("the installed key `{key}` is not the key of `{certificate}`");
        Finding::error(ID, what, anew)
    })
}

fn signing(facts: &Facts, paths: &Paths) -> Option<Finding> {
    let key = layout::signing_key(paths);
    let why = problem(&key, facts.base().content(&key)?)?;
    let cure = "restore it from a backup, or remove it so that a new pair is generated: gateways on other hosts then need the new certificate";
    Some(Finding::error(ID, damaged(&key, &why), cure))
}

fn damaged(path: &Path, why: &str) -> String {
    format!("the installed `{}` is damaged: {why}", path.display())
}

fn no_key(why: &NoKey) -> String {
    match why {
        NoKey::Encrypted => "it is encrypted".to_owned(),
        NoKey::Pem(why) => why.to_string(),
        NoKey::Damaged => "it contains no valid key".to_owned(),
        NoKey::Form(_) => "it contains no PEM key".to_owned(),
    }
}
