//! Lines of the configurations that were edited by hand although the installer writes them: what
//! becomes of each is reported.

use cmsg_config::Paths;

use crate::{
    args::settings::Setting,
    finding::Finding,
    host::{Facts, edits::Edit},
    installation::{Runtime, installed::Installed, layout},
    plan::configuration::Configuration,
    wanted::Wanted,
};

const ID: &str = "configuration.edited";

/// Keys that the installer works out from a flag.
const DERIVED: [(&str, Setting); 4] = [
    ("SecurityGatewayEnabled", Setting::EnableSecurityGateway),
    ("ExternalPort", Setting::Listen),
    ("JwtSigningKey", Setting::JwtSigningKey),
    ("JwtVerifyingCertificate", Setting::JwtVerifyingCert),
];

/// Reports what becomes of the edits. A state that comes back has its own; those that were made since
/// are lost.
pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let paths = wanted.place.paths();
    let draft = Configuration::draft(wanted, facts);
    let since = facts.back_to.as_ref().map(|b| Edit::since(&facts.installed, &b.base, &paths));
    let edits = since.as_deref().unwrap_or(&facts.edits);
    let finding = |edit: &Edit| {
        let file = draft.of(edit.role)?;
        let new: Vec<_> = file.values(&edit.key).map(|entry| entry.value).collect();
        let is_kept = new == edit.values;
        // A line that cannot be read is refused with its number.
        if is_kept && (since.is_some() || !edit.is_readable(file)) {
            return None;
        }
        let path = edit.file(&facts.installed, &paths);
        let what = what(edit, &path.display().to_string(), is_kept, &new.join(", "));
        Some(Finding::warning(ID, what, cure(edit, is_kept, since.is_some())))
    };
    edits.iter().filter_map(finding).collect()
}

/// Reports edits that no command has taken up yet.
pub(crate) fn of_status(installed: &Installed, paths: &Paths, runtime: Runtime) -> Vec<Finding> {
    let finding = |edit: Edit| {
        let (key, file) = (&edit.key, edit.file(installed, paths));
        let (file, written) = (file.display(), edit.written.join(", "));
        let what = match (edit.values.as_slice(), written.as_str()) {
            ([], _) => format!("`{key}` was removed by hand from `{file}`; it was `{written}`"),
            (new, "") => format!("`{key}` was added by hand to `{file}`: `{}`", new.join(", ")),
            (new, _) => {
                let new = new.join(", ");
                format!("`{key}` was edited by hand in `{file}`: `{new}`; it was `{written}`")
            }
        };
        let words = layout::words(paths, runtime);
        let flags = edit.setting().filter(|_| !edit.is_everywhere(installed, paths));
        let Some(flag) = flags.filter(|_| !edit.values.is_empty()) else {
            let cure = format!("run `pcoip-cmsg-setup configure{words}` to apply the edit");
            return Finding::warning(ID, what, cure);
        };
        // It stays in its file, and each command would report it.
        let flags: String = edit.values.iter().map(|value| format!(" --{flag} {value}")).collect();
        let cure =
            format!("run `pcoip-cmsg-setup configure{words}{flags}` to set it for both services");
        Finding::warning(ID, format!("{what}; the other service still has the old value"), cure)
    };
    Edit::all(installed, paths).into_iter().map(finding).collect()
}

fn what(edit: &Edit, file: &str, is_kept: bool, new: &str) -> String {
    let key = &edit.key;
    let old = edit.values.join(", ");
    match (edit.values.is_empty(), is_kept) {
        (true, true) => format!("`{key}` was removed by hand from `{file}`: it stays removed"),
        (true, false) => format!("`{key}` was removed by hand from `{file}`: it is set to `{new}`"),
        (false, true) => format!("`{key}` was edited by hand in `{file}`: kept `{old}`"),
        (false, false) if new.is_empty() => {
            format!("`{key}` was edited by hand in `{file}`: `{old}` is removed")
        }
        (false, false) => {
            format!("`{key}` was edited by hand in `{file}`: `{old}` is replaced by `{new}`")
        }
    }
}

fn cure(edit: &Edit, is_kept: bool, goes_back: bool) -> String {
    let derived = || DERIVED.iter().find(|(key, _)| *key == edit.key).map(|(_, flag)| *flag);
    let flag = edit.setting().or_else(derived).map(Setting::usage);
    match flag {
        _ if goes_back => "run `rollback` again to restore the edit".to_owned(),
        Some(flag) if is_kept => format!("to replace it, use `configure {flag}`"),
        None if is_kept => "to replace it, edit the file again".to_owned(),
        Some(flag) => format!("to change it, use `configure {flag}`"),
        None => "run `rollback` afterwards to restore the edit".to_owned(),
    }
}
