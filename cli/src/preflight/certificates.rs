//! The operator's certificates and keys.

use crate::{
    content::Content,
    finding::Finding,
    host::Facts,
    pki::judge::{self, Named},
    wanted::Wanted,
};

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        wanted.given().into_iter().filter_map(|given| unreadable(given.setting, facts)).collect();
    if let (Some(certificate), Some(key)) = (named("ssl-cert", facts), named("ssl-key", facts)) {
        findings.extend(judge::tls(certificate, key, facts.now));
    }
    if let Some(file) = named("ca-cert", facts) {
        findings.extend(judge::authority(file, facts.now));
    }
    if let Some(file) = named("jwt-signing-key", facts) {
        findings.extend(judge::signing_key(file));
    }
    if let Some(file) = named("jwt-verifying-cert", facts) {
        findings.extend(judge::verifying_certificates(file));
    }
    for finding in &mut findings {
        finding.what = with_paths(&finding.what, wanted);
    }
    findings
}

/// The path may come from saved answers or the environment, so it is told with its flag.
fn with_paths(what: &str, wanted: &Wanted) -> String {
    wanted.given().into_iter().fold(what.to_owned(), |what, given| {
        let (flag, path) = (format!("`--{}`", given.setting), given.path.display());
        what.replace(&flag, &format!("`--{} {path}`", given.setting))
    })
}

fn named<'a>(setting: &'static str, facts: &'a Facts) -> Option<Named<'a>> {
    let content = facts.given.get(setting)?.as_ref().ok()?;
    Some(Named { setting, bytes: Content::bytes(content) })
}

fn unreadable(setting: &'static str, facts: &Facts) -> Option<Finding> {
    let why = facts.given.get(setting)?.as_ref().err()?;
    let id = if setting.ends_with("-key") { "key.unreadable" } else { "certificate.unreadable" };
    Some(Finding::error(id, format!("`--{setting}`: {why}"), "name a file that can be read"))
}
