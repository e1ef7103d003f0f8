//! `status`: what runs, where it listens, when certificates expire.

use std::{io, path::PathBuf};

use cmsg_config::{Paths, socket::Role};
use cmsg_engine::STACK;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::Ended;
use crate::{
    answers::sources::Sources,
    apply::interrupted,
    args::{Global, Status, settings::Layer},
    exit::Exit,
    files,
    finding::Finding,
    host::{engine, free_disk},
    installation::{
        Runtime,
        installed::{Installed, is_unverified, present},
        layout,
        record::Record,
    },
    pki::inspect,
    plan::configuration::certificate_files,
    preflight::{self, installed::unreadable, running},
    report::roles::{self, RoleView},
    runtime::units,
    screen::Screen,
    wanted::Location,
};

/// Runs it.
pub(super) fn run(status: &Status, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let sources = Sources::read(&status.flags.0, global.answers.as_deref())?;
    let place = Location::read(&sources.resolve(&Layer::new()))?;
    let interrupted = interrupted::finding(&place.paths());
    screen.findings(interrupted.as_slice());
    let (found, installed) = super::find_installed(&sources)?;
    let roles = installed.roles(&found.paths).into_iter();
    let views: Vec<_> = roles.map(|role| RoleView::ask(&found.paths, role)).collect();
    let certificates = certificates(&found.paths, &installed);
    let Record { version, runtime, .. } = Record::of(&installed, &found.paths);
    let mut findings = broker_findings(&views, &found.paths, &installed);
    findings.extend(preflight::of_status(&installed, &found.paths, runtime));
    findings.extend(views.iter().flat_map(|view| rejected(view, &found.paths, runtime)));
    findings.extend(full(&found.paths));
    findings.extend(
        certificates
            .iter()
            .filter_map(|shown| Some(unreadable(&shown.path, shown.held.as_ref().err()?))),
    );
    let words = layout::words(&found.paths, runtime);
    let findings = findings.into_iter().map(|finding| finding.in_full(&words));
    let mut findings: Vec<_> = findings.collect();
    let is_failed = views.iter().any(RoleView::is_down) || findings.iter().any(Finding::is_error);
    let exit = if is_failed { Exit::Failed } else { Exit::Done };
    // Where the engine is away, that is what keeps the roles down, or will.
    let away = if runtime == Runtime::Swarm { without_engine(exit) } else { None };
    findings.extend(away.or_else(|| down(&views, &found.paths, runtime)));

    if screen.is_json {
        screen.document(&json!({
            "schema": 1,
            "version": version,
            "runtime": runtime,
            "roles": roles::document(&views),
            "certificates": certificates.iter().flat_map(Shown::rows).collect::<Vec<_>>(),
            "findings": interrupted.into_iter().chain(findings).collect::<Vec<_>>(),
            "settings": found.answers.document(),
        }));
        return Ok(exit);
    }
    let place = layout::place(found.paths.root());
    screen.data(&format!("version {version}, runtime {runtime}, {place}"));
    views.iter().for_each(|view| screen.data(&view.lines()));
    screen.data(&format!("logs: {}", found.paths.logs().display()));
    certificates.iter().flat_map(Shown::lines).for_each(|line| screen.data(&line));
    screen.findings(&findings);
    Ok(exit)
}

/// What keeps log-ons from working or from being safe.
fn broker_findings(views: &[RoleView], paths: &Paths, installed: &Installed) -> Vec<Finding> {
    let words = layout::words(paths, Record::of(installed, paths).runtime);
    let seen = views.iter().filter_map(RoleView::broker);
    let mut findings: Vec<_> = seen.filter_map(|seen| running::finding(seen, &words)).collect();
    findings.extend(views.iter().flat_map(RoleView::refusing).map(running::refusal));
    let has_manager = installed.roles(paths).contains(&Role::Cm);
    let conf = present(installed, paths, Role::Cm).filter(|_| has_manager);
    if conf.is_some_and(|conf| is_unverified(&conf)) {
        findings.push(preflight::unverified());
    }
    findings
}

/// What a role that has rejected its configuration found wrong with it.
fn rejected(view: &RoleView, paths: &Paths, runtime: Runtime) -> Vec<Finding> {
    let conf = layout::conf(paths, view.role());
    let found = |rejection| running::rejected(rejection, &conf, runtime);
    view.rejection().map(found).unwrap_or_default()
}

/// Reports a disk that is full for what the roles write.
fn full(paths: &Paths) -> Option<Finding> {
    /// Sessions and logs of a busy hour take less.
    const LEAST: u64 = 100_000_000;
    let folders = [paths.state(), paths.logs()];
    let short = |folder: &&PathBuf| free_disk(folder).is_some_and(|free| free < LEAST);
    let folder = folders.iter().find(short)?;
    let free = free_disk(folder)? / 1_000_000;
    let what = format!(
        "{free} MB of disk space are free for `{}`; when the disk is full, sessions and logs are not \
         written",
        folder.display()
    );
    let cure = "free some space on that file system; the services go on by themselves";
    Some(Finding::warning("host.disk", what, cure))
}

/// What to do where the docker engine does not answer.
fn without_engine(exit: Exit) -> Option<Finding> {
    let what = engine::connect().err()?.to_string();
    let cure = "start it: `systemctl enable --now docker`";
    Some(match exit {
        Exit::Done => Finding::warning("docker.not-running", what, cure),
        _ => Finding::error("docker.not-running", what, cure),
    })
}

/// What to do where a role does not run.
fn down(views: &[RoleView], paths: &Paths, runtime: Runtime) -> Option<Finding> {
    // Why a role has rejected its configuration is reported by itself.
    let views: Vec<_> = views.iter().filter(|v| v.is_down() && v.rejection().is_none()).collect();
    let names: Vec<_> = views.iter().map(|view| view.name()).collect();
    (!names.is_empty()).then(|| {
        let units: Vec<_> = views
            .iter()
            .filter(|view| units::keep(paths, view.role()))
            .map(|view| format!("`journalctl -u {}`", layout::unit_name(view.role())))
            .collect();
        let again = layout::words(paths, runtime);
        let why = match runtime {
            Runtime::Swarm => {
                format!(
                    "is in `docker stack ps --no-trunc {STACK}` and `docker service logs {STACK}_cm`"
                )
            }
            Runtime::Host if units.is_empty() => {
                format!("is at the end of `{}`", layout::supervise_log(paths).display())
            }
            Runtime::Host => format!("{} tells", units.join(", ")),
        };
        let start = format!("`pcoip-cmsg-setup install{again}` starts what does not run");
        let cure = match runtime {
            Runtime::Swarm => format!(
                "after a restart Docker starts them within a minute; else {start}; why it ended \
                 {why}"
            ),
            Runtime::Host => format!("{start}; why it ended {why}"),
        };
        let what = format!("what is installed does not run: {}", names.join(", "));
        Finding::error("role.down", what, cure)
    })
}

/// A file of certificates.
struct Shown {
    path: PathBuf,
    /// What it holds, or why that cannot be read.
    held: Result<Vec<inspect::Certificate>, String>,
}

impl Shown {
    /// Its rows of the document.
    fn rows(&self) -> Vec<Value> {
        let all = match &self.held {
            Ok(all) => all,
            Err(why) => return vec![json!({ "path": self.path, "error": why })],
        };
        let row = |certificate: &inspect::Certificate| {
            let expires = expires(certificate);
            json!({ "path": self.path, "subject": certificate.subject, "expires": expires })
        };
        all.iter().map(row).collect()
    }

    /// Its lines for people.
    fn lines(&self) -> Vec<String> {
        let path = self.path.display();
        match &self.held {
            Ok(all) => all.iter().map(|one| format!("{path}: expires {}", expires(one))).collect(),
            Err(why) => vec![format!("{path}: unreadable ({why})")],
        }
    }
}

fn expires(certificate: &inspect::Certificate) -> String {
    certificate.not_after.format(&Rfc3339).unwrap_or_default()
}

/// All certificates that the roles show or verify with: the installer's, and others that their
/// configurations name.
fn certificates(paths: &Paths, installed: &Installed) -> Vec<Shown> {
    let ours = [layout::certificate, layout::authority, layout::verifying_certificates];
    let confs = installed.roles(paths).into_iter().filter_map(|r| present(installed, paths, r));
    let named: Vec<_> = confs.flat_map(|conf| certificate_files(&conf)).collect();
    let mut shown: Vec<PathBuf> = ours.map(|file| file(paths)).into();
    for path in &named {
        if !shown.contains(path) {
            shown.push(path.clone());
        }
    }
    let read = |path: PathBuf| {
        let content = files::read(&path);
        let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if content.as_ref().is_err_and(is_missing) && !named.contains(&path) {
            return None;
        }
        let held = content.map_err(|error| error.to_string());
        let held = held.and_then(|content| {
            inspect::certificates(content.bytes()).map_err(|why| why.to_string())
        });
        Some(Shown { path, held })
    };
    shown.into_iter().filter_map(read).collect()
}
