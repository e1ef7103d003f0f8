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
    findings
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
