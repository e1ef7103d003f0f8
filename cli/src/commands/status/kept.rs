//! The files of an installation that its services read when they start next, and those that the
//! installer keeps for itself.

use std::path::Path;

use cmsg_config::{
    ConfFile, ConnectionManager, Invalid, Paths, SecurityGateway, cause, socket::Role,
    values::Switch,
};

use crate::{
    answers::Answers,
    args::settings::Setting,
    files,
    finding::Finding,
    installation::{
        Runtime,
        installed::{Installed, present_file},
        layout,
        record::Record,
    },
    preflight::{
        installed::{self, ID as DAMAGED},
        running,
    },
    report::roles::RoleView,
};

const KEPT: &str = "installation.damaged";
const RESTORE: &str = "restore it from a backup, or write it again with `pcoip-cmsg-setup install`";

/// Reports the files that are missing or damaged.
pub(super) fn findings(
    (installed, paths): (&Installed, &Paths),
    (answers, runtime): (&Answers, Runtime),
    views: &[RoleView],
) -> Vec<Finding> {
    let mut findings: Vec<_> = answers_file(installed, paths).into_iter().collect();
    findings.extend(record(installed, paths));
    let has_answers =
        findings.iter().all(|finding| finding.id != KEPT) || runtime_is_saved(answers);
    for role in [Role::Cm, Role::Sg] {
        let is_rejected = views.iter().any(|it| it.role() == role && it.rejection().is_some());
        match present_file(installed, paths, role) {
            None if has_answers && is_wanted(answers, role) => {
                findings.push(missing_configuration(paths, role));
            }
            Some((path, content)) if path == layout::conf(paths, role) => {
                // One that the role has rejected is reported with its own words.
                let problems = problems(role, &content.text());
                if !is_rejected {
                    findings.extend(running::invalid(&problems, &path, runtime));
                }
                findings.extend(keys(role, &ConfFile::parse(&content.text())));
            }
            _ => {}
        }
    }
    findings
}

fn runtime_is_saved(answers: &Answers) -> bool {
    answers.of(Setting::Runtime).from == crate::answers::Origin::Saved
}

/// What the installer asks for with no answers could differ from what was installed.
fn answers_file(installed: &Installed, paths: &Paths) -> Option<Finding> {
    let path = layout::answers(paths);
    let what = match installed.content(&path) {
        None => "is missing",
        Some(content) if content.bytes().trim_ascii().is_empty() => "is empty",
        Some(_) => return None,
    };
    let what = format!("`{}`, the saved settings of this installation, {what}", path.display());
    let cure =
        "restore it from a backup, or run `pcoip-cmsg-setup install` with all settings again";
    Some(Finding::warning(KEPT, what, cure))
}

fn record(installed: &Installed, paths: &Paths) -> Option<Finding> {
    let path = layout::record(paths);
    let what = match installed.content(&path) {
        None => "is missing",
        Some(content) if content.bytes().trim_ascii().is_empty() => "is empty",
        Some(content) if !Record::is_one(content) => "is damaged",
        Some(_) => return None,
    };
    let what = format!("`{}`, the installer's record of its changes, {what}", path.display());
    Some(Finding::warning(KEPT, what, RESTORE))
}

fn is_wanted(answers: &Answers, role: Role) -> bool {
    let setting = match role {
        Role::Cm => Setting::EnableConnectionManager,
        Role::Sg => Setting::EnableSecurityGateway,
    };
    answers.of(setting).texts.first().is_some_and(|text| text.parse() == Ok(Switch(true)))
}

fn missing_configuration(paths: &Paths, role: Role) -> Finding {
    let name = role.command().replace('-', " ");
    let path = layout::conf(paths, role);
    let what = format!("the configuration of the {name}, `{}`, is missing", path.display());
    Finding::error("configuration.missing", what, RESTORE)
}

/// Why the role would reject its configuration.
fn problems(role: Role, text: &str) -> Vec<String> {
    let file = ConfFile::parse(text);
    let refused = |invalid: Invalid| invalid.problems.iter().map(ToString::to_string).collect();
    match role {
        Role::Cm => ConnectionManager::read(&file).err().map(refused),
        Role::Sg => SecurityGateway::read(&file).err().map(refused),
    }
    .unwrap_or_default()
}

/// Reports the keys that the role could not read.
fn keys(role: Role, file: &ConfFile) -> Vec<Finding> {
    let mut names = vec!["SslKey"];
    names.extend((role == Role::Cm).then_some("JwtSigningKey"));
    let paths = names.into_iter().flat_map(|name| file.values(name)).map(|entry| entry.value);
    paths.filter_map(|path| unusable(Path::new(path))).collect()
}

fn unusable(path: &Path) -> Option<Finding> {
    let why = match files::read(path) {
        Err(error) => cause::of_io(&error),
        Ok(content) if content.bytes().trim_ascii().is_empty() => "it is empty".to_owned(),
        Ok(content) => installed::problem(path, &content)?,
    };
    let what = format!("the key `{}` cannot be read: {why}", path.display());
    let cure = "restore it from a backup; `pcoip-cmsg-setup validate` reports how to replace it";
    Some(Finding::error(DAMAGED, what, cure))
}
