//! The configuration files as they will be, read as the daemon reads them.

use std::path::{Path, PathBuf};

use cmsg_config::{
    ConfFile, ConnectionManager, Invalid, Loaded, Paths, SecurityGateway, socket::Role,
    values::Switch,
};

use crate::{
    content::Content,
    finding::Finding,
    host::Facts,
    installation::{installed::present_file, layout},
    plan::configuration::{CERTIFICATE, Configuration},
    wanted::{
        Certificate, Given, Wanted,
        later::{UNSUPPORTED, oauth, sso},
    },
};

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    // What is wrong with the ports is told by its own check.
    if facts.listeners.values().any(|listener| listener.port() == Some(0)) {
        return Vec::new();
    }
    let paths = wanted.place.paths();
    let undecodable = undecodable(facts, &paths);
    if !undecodable.is_empty() {
        return undecodable;
    }
    let draft = Configuration::draft(wanted, facts);
    let read = |role, file: &Option<ConfFile>, told: fn(&ConfFile) -> Vec<(bool, String)>| {
        let path = layout::conf(&paths, role);
        file.iter().flat_map(told).map(|one| finding(&path, one)).collect::<Vec<_>>()
    };
    let mut findings = read(Role::Cm, &draft.cm, |file| told(ConnectionManager::read(file)));
    findings.extend(read(Role::Sg, &draft.sg, |file| told(SecurityGateway::read(file))));
    findings.extend(draft.cm.iter().flat_map(|file| unsupported(wanted, file)));
    for (role, file) in [(Role::Cm, &draft.cm), (Role::Sg, &draft.sg)] {
        findings.extend(file.as_ref().and_then(|file| not_shown(wanted, role, file)));
    }
    findings
}

/// Files that are not text. To guess their lines could lose a setting.
fn undecodable(facts: &Facts, paths: &Paths) -> Vec<Finding> {
    let files =
        [Role::Cm, Role::Sg].into_iter().filter_map(|role| present_file(facts.base(), paths, role));
    let finding = |(path, content): (PathBuf, &Content)| {
        let why = content.decode().err()?;
        let what = format!("`{}`: {why}", path.display());
        Some(Finding::error("configuration.invalid", what, why.fix(&path)))
    };
    files.filter_map(finding).collect()
}

/// A certificate that was just given, and that a role will not show since its administrator gave
/// it another one.
fn not_shown(wanted: &Wanted, role: Role, file: &ConfFile) -> Option<Finding> {
    let Certificate::Given { certificate: Given { is_kept: false, .. }, .. } = &wanted.certificate
    else {
        return None;
    };
    let paths = wanted.place.paths();
    let ours = layout::certificate(&paths).display().to_string();
    let other = file.values(CERTIFICATE).map(|entry| entry.value).find(|path| *path != ours)?;
    let conf = layout::conf(&paths, role);
    Some(Finding::warning(
        "certificate.not-shown",
        format!("`{}` names the certificate `{other}`, not the one that is given", conf.display()),
        format!("to have it shown, remove the lines `{CERTIFICATE}` and `SslKey` from that file"),
    ))
}

/// Ways to authenticate users that the administrator wrote into the file, and that do not work yet.
fn unsupported(wanted: &Wanted, file: &ConfFile) -> Vec<Finding> {
    let conf = layout::conf(&wanted.place.paths(), Role::Cm);
    let ways = [
        ("OauthEnabled", wanted.later.oauth.is_enabled, oauth::WITHOUT),
        ("SsoEnabled", wanted.later.sso.is_enabled, sso::WITHOUT),
    ];
    let is_on = |key| file.values(key).any(|entry| entry.value.parse() == Ok(Switch(true)));
    // What was saved is told where the answers are read.
    let written = ways.into_iter().filter(|(key, is_saved, _)| !is_saved && is_on(key));
    let finding = |(key, _, without)| {
        let what = format!("`{}`: `{key} = true` has no effect: {without}", conf.display());
        Finding::warning(UNSUPPORTED, what, "remove the line if that is acceptable")
    };
    written.map(finding).collect()
}

/// Everything odd in a file, and whether the daemon refuses it.
fn told<T>(read: Result<Loaded<T>, Invalid>) -> Vec<(bool, String)> {
    match read {
        Ok(loaded) => loaded.warnings.iter().map(|w| (false, w.to_string())).collect(),
        Err(invalid) => invalid.problems.iter().map(|p| (true, p.to_string())).collect(),
    }
}

fn finding(path: &Path, (refuses, what): (bool, String)) -> Finding {
    let what = format!("`{}`: {what}", path.display());
    if refuses {
        Finding::error("configuration.invalid", what, "mend the line in the file")
    } else {
        Finding::warning("configuration.odd", what, "mend or remove the line in the file")
    }
}
