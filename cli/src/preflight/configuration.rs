//! The configuration files as they will be, read as the daemon reads them.

use std::path::{Path, PathBuf};

use cmsg_config::{
    ConfFile, ConnectionManager, Invalid, Loaded, Paths, Problem, SecurityGateway, Warning,
    keys::{CONNECTION_MANAGER, SECURITY_GATEWAY},
    socket::Role,
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
    let read = |role, file: &Option<ConfFile>, told: fn(&ConfFile) -> Vec<Told>| {
        let path = layout::conf(&paths, role);
        let cure = |told: &Told, file: &ConfFile| told.line.and_then(|at| key_hint(role, file, at));
        let of_file = |file| told(file).into_iter().map(|it| (cure(&it, file), it)).collect();
        let all: Vec<_> = file.as_ref().map(of_file).unwrap_or_default();
        all.into_iter().map(|(cure, it)| finding(&path, &it, cure)).collect::<Vec<_>>()
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
        format!(
            "`{}` names the certificate `{other}`, not the one that you specified",
            conf.display()
        ),
        format!(
            "to use your certificate, remove the lines `{CERTIFICATE}` and `SslKey` from that file"
        ),
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

/// Something odd in a file.
struct Told {
    /// Whether the daemon refuses the file.
    refuses: bool,
    what: String,
    /// The line of a warning.
    line: Option<usize>,
}

/// Everything odd in a file.
fn told<T>(read: Result<Loaded<T>, Invalid>) -> Vec<Told> {
    let warning = |w: &Warning| Told { refuses: false, what: w.to_string(), line: Some(w.line) };
    let problem = |p: &Problem| Told { refuses: true, what: p.to_string(), line: None };
    match read {
        Ok(loaded) => loaded.warnings.iter().map(warning).collect(),
        Err(invalid) => invalid.problems.iter().map(problem).collect(),
    }
}

fn finding(path: &Path, told: &Told, cure: Option<String>) -> Finding {
    let what = format!("`{}`: {}", path.display(), told.what);
    if told.refuses {
        Finding::error("configuration.invalid", what, "correct the line in the file")
    } else {
        let cure = cure.unwrap_or_else(|| "correct or remove the line in the file".to_owned());
        Finding::warning("configuration.odd", what, cure)
    }
}

/// What the unknown key on a line may be meant to be.
fn key_hint(role: Role, file: &ConfFile, line: usize) -> Option<String> {
    /// More slips make another word.
    const MOST_SLIPS: usize = 3;
    let key = file.entries().find(|entry| entry.line == line)?.key.to_lowercase();
    let (own, other, name) = match role {
        Role::Cm => (CONNECTION_MANAGER, SECURITY_GATEWAY, "SecurityGateway.conf"),
        Role::Sg => (SECURITY_GATEWAY, CONNECTION_MANAGER, "ConnectionManager.conf"),
    };
    if let Some(known) = other.iter().find(|known| known.name.to_lowercase() == key) {
        return Some(format!("move the line to `{name}`: `{}` is a key of that file", known.name));
    }
    let slips = |name: &str| strsim::osa_distance(&name.to_lowercase(), &key);
    let near = own.iter().filter(|known| known.name.len().abs_diff(key.len()) <= MOST_SLIPS);
    let meant = near.min_by_key(|known| slips(known.name))?;
    (slips(meant.name) <= MOST_SLIPS.min(key.len() / 3))
        .then(|| format!("write `{}` in its place, or remove the line", meant.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::tests::wanted,
        preflight::tests::{BOTH, configured, configured_facts},
    };

    #[test]
    fn a_misspelt_key_is_answered_with_the_one_that_was_meant() {
        let (wanted, _) = wanted(BOTH);
        let mut facts = configured_facts(&wanted);
        let lines = "AlowedAgents = 10.0.0.0/8\nUdpIdleSeconds = 60\nSomething = 1\n";
        configured(&mut facts, Role::Cm, lines);

        let findings = check(&wanted, &facts);

        let odd = findings.iter().filter(|finding| finding.id == "configuration.odd");
        let cures: Vec<_> = odd.map(|finding| finding.cure.as_str()).collect();
        assert_eq!(
            cures,
            [
                "write `AllowedAgents` in its place, or remove the line",
                "move the line to `SecurityGateway.conf`: `UdpIdleSeconds` is a key of that file",
                "correct or remove the line in the file",
            ]
        );
    }
}
