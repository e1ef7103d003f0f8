//! What is asked for and has no effect yet: nobody shall believe that it has.

use cmsg_config::pem;
use rustls::pki_types::CertificateRevocationListDer;
use x509_parser::{prelude::FromDer as _, revocation_list::CertificateRevocationList};

use crate::{
    answers::{Answers, Origin},
    args::settings::{Kind, Setting},
    content::Content,
    finding::Finding,
    host::Facts,
    pki::judge::{self, Named},
    wanted::Wanted,
};

/// Tells everything that was set and has no effect yet, at once.
pub(crate) fn of_settings(answers: &Answers) -> Option<Finding> {
    let is_set = answers.all().filter(|(setting, answer)| {
        let is_off = setting.kind() == Kind::Switch
            && setting.row().default == "false"
            && answer.texts.iter().all(|text| text == "false");
        setting.row().has_no_effect_yet
            && answer.from != Origin::Default
            && !answer.texts.is_empty()
            && !is_off
    });
    let flags: Vec<_> = is_set.map(|(setting, _)| format!("`--{setting}`")).collect();
    let what = match flags.len() {
        0 => return None,
        1 => format!("{} has no effect yet", flags[0]),
        _ => format!("{} have no effect yet", flags.join(", ")),
    };
    let cure = "do not rely on it: the value is checked and saved for a later version";
    Some(Finding::warning("settings.no-effect-yet", what, cure))
}

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let given = wanted.given();
    let named = |setting: Setting| {
        let given = given.iter().find(|given| given.setting == setting)?;
        let bytes = content(given.setting, facts)?.bytes();
        Some(Named { setting: given.setting, path: &given.path, bytes, is_copy: false })
    };
    let mut findings =
        judge::pair(named(Setting::SsoSigningCsrCa), named(Setting::SsoSigningCsrKey));
    let licence = (named(Setting::TrustedLicenseCert), named(Setting::TrustedLicenseCertKey));
    findings.extend(judge::pair(licence.0, licence.1));
    findings.extend(revocations(Setting::SsoSigningCrl, facts));
    findings
}

fn revocations(setting: Setting, facts: &Facts) -> Option<Finding> {
    let bytes = content(setting, facts)?.bytes();
    let pem = pem::every::<CertificateRevocationListDer<'_>>(bytes);
    if let Err(why) = &pem
        && why.is_skipped()
    {
        let what = format!("`--{setting}`: {why}");
        let cure = "put each marker on its own line";
        return Some(Finding::error("certificate.skipped", what, cure));
    }
    let lists = pem.unwrap_or_default();
    let is_list = |der: &[u8]| {
        CertificateRevocationList::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
    };
    let are_lists =
        if lists.is_empty() { is_list(bytes) } else { lists.iter().all(|list| is_list(list)) };
    (!are_lists).then(|| {
        Finding::error(
            "certificate.no-revocation-list",
            format!("`--{setting}` is not a certificate revocation list"),
            "use the list that the authority publishes, in PEM or DER",
        )
    })
}

fn content(setting: Setting, facts: &Facts) -> Option<&Content> {
    facts.given.get(&setting)?.as_ref().ok()
}
