//! Checks an answer as the value of its flag is checked.

use std::path::PathBuf;

use time::OffsetDateTime;

use crate::{
    answers::{Answers, sources::Sources},
    args::settings::{Layer, Setting},
    content::Content,
    files,
    finding::Finding,
    pki::judge::{self, Named, Tls},
    wanted::{Location, Wanted},
};

/// The files that are read when they are named.
const FILES: [Setting; 5] = [
    Setting::SslCert,
    Setting::SslKey,
    Setting::CaCert,
    Setting::JwtSigningKey,
    Setting::JwtVerifyingCert,
];

/// Accepts an answer, unless it is invalid.
///
/// # Errors
///
/// What is wrong with it; the setting then has no answer.
pub(super) fn answer(
    sources: &mut Sources,
    saved: &Layer,
    place: &Location,
    (setting, texts): (Setting, Vec<String>),
) -> Result<(), Vec<Finding>> {
    let before = errors(&sources.resolve(saved), place);
    sources.answer(setting, texts)?;
    let mut added = errors(&sources.resolve(saved), place);
    added.retain(|finding| !before.contains(finding));
    if added.is_empty() {
        return Ok(());
    }
    sources.forget(setting);
    Err(added)
}

/// The errors of the settings that have a value.
fn errors(answers: &Answers, place: &Location) -> Vec<Finding> {
    let (_, mut findings) = Wanted::read(answers, place.clone());
    findings.extend(of_files(answers));
    let is_about_it = |finding: &Finding| {
        finding.is_error() && !["settings.missing", "settings.policies"].contains(&finding.id)
    };
    findings.retain(is_about_it);
    findings
}

fn of_files(answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut read: Vec<(Setting, PathBuf, Content)> = Vec::new();
    for setting in FILES {
        let Some(path) = answers.of(setting).texts.first().map(PathBuf::from) else { continue };
        match files::read(&path) {
            Ok(content) => read.push((setting, path, content)),
            Err(why) => {
                let what = format!("`--{setting} {}`: {why}", path.display());
                let cure = "specify a readable file";
                findings.push(Finding::error("certificate.unreadable", what, cure));
            }
        }
    }
    let named = |setting| {
        let (_, path, content) = read.iter().find(|(other, ..)| *other == setting)?;
        Some(Named { setting, path, bytes: content.bytes(), is_copy: false })
    };
    findings.extend(judge::tls(&Tls {
        certificate: named(Setting::SslCert),
        key: named(Setting::SslKey),
        authority: named(Setting::CaCert),
        names: Vec::new(),
        now: OffsetDateTime::now_utc(),
    }));
    findings
        .extend(judge::announcing(named(Setting::JwtSigningKey), named(Setting::JwtVerifyingCert)));
    findings
}
