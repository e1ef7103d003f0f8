//! What is wrong with an answer as it was typed: what the same value of the flag would be refused for.

use std::path::PathBuf;

use time::OffsetDateTime;

use crate::{
    answers::{Answers, sources::Sources},
    args::settings::Layer,
    content::Content,
    files,
    finding::Finding,
    pki::judge::{self, Named, Tls},
    wanted::{Location, Wanted},
};

/// Files that are looked into at once.
const FILES: [&str; 5] =
    ["ssl-cert", "ssl-key", "ca-cert", "jwt-signing-key", "jwt-verifying-cert"];

/// Takes an answer, unless it is wrong.
///
/// # Errors
///
/// What is wrong with it; then nothing is answered.
pub(super) fn answer(
    sources: &mut Sources,
    saved: &Layer,
    place: &Location,
    (name, texts): (&'static str, Vec<String>),
) -> Result<(), Vec<Finding>> {
    let before = errors(&sources.resolve(saved), place);
    sources.answer(name, texts)?;
    let mut added = errors(&sources.resolve(saved), place);
    added.retain(|finding| !before.contains(finding));
    if added.is_empty() {
        return Ok(());
    }
    sources.forget(name);
    Err(added)
}

/// What is wrong with what was said. What was not said is another matter.
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
    let mut read: Vec<(&'static str, PathBuf, Content)> = Vec::new();
    for name in FILES {
        let Some(path) = answers.of(name).texts.first().map(PathBuf::from) else { continue };
        match files::read(&path) {
            Ok(content) => read.push((name, path, content)),
            Err(why) => {
                let what = format!("`--{name} {}`: {why}", path.display());
                let cure = "name a file that can be read";
                findings.push(Finding::error("certificate.unreadable", what, cure));
            }
        }
    }
    let named = |name| {
        let (setting, path, content) = read.iter().find(|(setting, ..)| *setting == name)?;
        Some(Named { setting, path, bytes: content.bytes(), is_copy: false })
    };
    findings.extend(judge::tls(&Tls {
        certificate: named("ssl-cert"),
        key: named("ssl-key"),
        authority: named("ca-cert"),
        names: Vec::new(),
        now: OffsetDateTime::now_utc(),
    }));
    findings.extend(judge::announcing(named("jwt-signing-key"), named("jwt-verifying-cert")));
    findings
}
