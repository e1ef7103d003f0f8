//! Looks at the documented product: at the engine, and at its files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use cmsg_config::{Paths, socket::Role};
use cmsg_engine::{ServiceFact, is_others};

use super::{Adoption, Vendor, judge, unreadable};
use crate::{
    answers::Answers,
    args::settings::Setting,
    content::Content,
    files,
    finding::Finding,
    host::engine::{self, EngineFact},
    installation::{Runtime, layout},
    trusted,
    wanted::Location,
};

/// More files lie in no folder of certificates.
const MOST_FILES: usize = 256;

/// Looks, if that is asked for, and judges.
pub(crate) fn look(answers: &Answers, place: &Location) -> Adoption {
    if answers.of(Setting::Adopt).texts != ["true"] {
        return Adoption::default();
    }
    if place.runtime != Runtime::Swarm || place.root.is_some() {
        return nothing(Finding::error(
            "adopt.runtime",
            "`--adopt` only takes over services of Docker Swarm at the documented paths",
            "omit `--runtime` and `--root`, or omit `--adopt`",
        ));
    }
    let engine = EngineFact::read(place.runtime);
    let Some(facts) = engine.facts() else {
        // Why there is none is told by its own check.
        return Adoption::default();
    };
    let services: Vec<_> = facts.services.iter().filter(|service| is_others(service)).collect();
    if services.is_empty() {
        return nothing(none(facts.services.iter().any(ServiceFact::is_of_installation)));
    }
    let paths = place.paths();
    if let Some(finding) = planted(&layout::adopted(&paths)) {
        return nothing(finding);
    }
    let read = engine::connect().and_then(|it| it.others(Path::new("docker"), &services));
    let others = match read {
        Ok(others) => others,
        Err(why) => return nothing(unreadable(&why)),
    };
    let mut findings = Vec::new();
    let services: Vec<ServiceFact> = services.into_iter().cloned().collect();
    let vendor = Vendor {
        confs: confs(&services, &paths, &mut findings),
        files: certificates(&services, &paths, &mut findings),
        services,
        others,
    };
    let mut adoption = judge(&vendor, &paths);
    adoption.findings.extend(findings);
    adoption
}

fn nothing(finding: Finding) -> Adoption {
    Adoption { findings: vec![finding], ..Adoption::default() }
}

fn none(is_ours: bool) -> Finding {
    if is_ours {
        return Finding::warning(
            "adopt.nothing",
            "there is nothing to adopt: this program already manages the stack `pcoipcm`",
            "omit `--adopt`",
        );
    }
    Finding::error(
        "adopt.nothing",
        "there is nothing to adopt: Docker runs no stack `pcoipcm`",
        "omit `--adopt`, or start the services to take over",
    )
}

/// The folder's files are believed on the way back, so nobody else may have made it.
fn planted(folder: &Path) -> Option<Finding> {
    if let Err(untrusted) = trusted::check_folder(folder) {
        return Some(untrusted.finding());
    }
    let metadata = folder.symlink_metadata().ok()?;
    let is_roots = metadata.is_dir() && metadata.uid() == 0 && metadata.mode() & 0o077 == 0;
    (!is_roots).then(|| {
        Finding::error(
            "adopt.folder",
            format!("`{}` is not a directory that only root can enter", folder.display()),
            "move it to another place",
        )
    })
}

fn mounts(services: &[ServiceFact]) -> impl Iterator<Item = (&Path, &Path)> {
    let all = services.iter().flat_map(|service| &service.mounts);
    all.map(|mount| (mount.source.as_path(), mount.target.as_path()))
        .filter(|(source, _)| source.is_absolute())
}

/// The configurations at the documented place, and where a service has another one.
fn confs(
    services: &[ServiceFact],
    paths: &Paths,
    findings: &mut Vec<Finding>,
) -> Vec<(Role, PathBuf, Content)> {
    let mut found = Vec::new();
    for role in [Role::Cm, Role::Sg] {
        let documented = layout::conf(paths, role);
        let name = documented.file_name().unwrap_or_default();
        let mut places = vec![documented.clone()];
        places.extend(mounts(services).map(|(source, target)| {
            if target.file_name() == Some(name) { source.to_owned() } else { source.join(name) }
        }));
        let places: BTreeSet<_> = places.into_iter().filter(|path| path.is_file()).collect();
        // A file that a service is given stands for the one at the documented place.
        let place = places.iter().find(|path| **path != documented).or(places.first());
        let content = place.and_then(|path| Some((path, content(path, findings)?)));
        found.extend(content.map(|(path, content)| (role, path.clone(), content)));
    }
    found
}

/// The files in its folders of certificates.
fn certificates(
    services: &[ServiceFact],
    paths: &Paths,
    findings: &mut Vec<Finding>,
) -> Vec<(PathBuf, Content)> {
    let is_about = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        ["cert", ".pem", ".crt", ".key"].iter().any(|word| name.contains(word))
    };
    let mut places = vec![paths.certs()];
    let mounted = mounts(services).filter(|(source, target)| is_about(source) || is_about(target));
    places.extend(mounted.map(|(source, _)| source.to_owned()));
    let mut all = BTreeMap::new();
    for place in places {
        let inside = fs::read_dir(&place).into_iter().flatten().flatten();
        let inside: Vec<_> = inside.map(|entry| entry.path()).take(MOST_FILES).collect();
        let single = place.is_file().then_some(place);
        for path in inside.into_iter().chain(single).filter(|path| path.is_file()) {
            if let Some(content) = content(&path, findings) {
                all.insert(path, content);
            }
        }
    }
    all.into_iter().collect()
}

fn content(path: &Path, findings: &mut Vec<Finding>) -> Option<Content> {
    files::read(path)
        .map_err(|why| {
            findings.push(Finding::warning(
                "adopt.unreadable",
                format!("`{}` is not taken over: {why}", path.display()),
                "if it is needed, set it with its flag",
            ));
        })
        .ok()
}

/// Whether a process runs in one of these containers.
pub(super) fn runs_in(pid: u32, containers: &[String]) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    containers.iter().any(|container| !container.is_empty() && groups.contains(container.as_str()))
}
