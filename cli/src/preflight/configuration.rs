//! The configuration files as they will be, read as the daemon reads them.

use std::path::Path;

use cmsg_config::{ConfFile, ConnectionManager, Invalid, Loaded, SecurityGateway, socket::Role};

use crate::{
    finding::Finding,
    host::Facts,
    plan::{configuration::Configuration, layout},
    wanted::Wanted,
};

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    // What is wrong with the ports is told by its own check.
    if facts.listeners.values().any(|listener| listener.port() == Some(0)) {
        return Vec::new();
    }
    let paths = wanted.place.paths();
    let draft = Configuration::draft(wanted, facts);
    let read = |role, file: &Option<ConfFile>, told: fn(&ConfFile) -> Vec<(bool, String)>| {
        let path = layout::conf(&paths, role);
        file.iter().flat_map(told).map(|one| finding(&path, one)).collect::<Vec<_>>()
    };
    let mut findings = read(Role::Cm, &draft.cm, |file| told(ConnectionManager::read(file)));
    findings.extend(read(Role::Sg, &draft.sg, |file| told(SecurityGateway::read(file))));
    findings
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
