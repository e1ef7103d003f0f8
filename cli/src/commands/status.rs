//! `status`: the state of the services, the broker, the gateways and the certificates.

use std::{io, path::PathBuf};

use cmsg_config::{ConfFile, Paths, cause, socket::Role};
use cmsg_engine::Engine;
use time::OffsetDateTime;

use super::Ended;
use crate::{
    answers::sources::Sources,
    apply::interrupted,
    args::{Global, Status, settings::Layer},
    exit::Exit,
    files,
    finding::{Finding, Level},
    host::free_disk,
    installation::{
        Runtime,
        installed::{Installed, is_unverified, present},
        layout,
        record::Record,
    },
    pki::inspect,
    plan::configuration::certificate_files,
    preflight::{self, installed::unreadable, running},
    report::{
        roles::RoleView,
        status::{CertificateFile, StatusPage},
    },
    runtime::crashes,
    screen::Screen,
    wanted::Location,
};

mod down;
mod kept;

use down::{down, unresponsive};

pub(super) fn run(status: &Status, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let sources = Sources::read(&status.flags.0, global.answers.as_deref())?;
    let place = Location::read(&sources.resolve(&Layer::new()))?;
    let interrupted = interrupted::finding(&place.paths());
    let found = super::find_installed(&sources);
    let (found, installed) = found.inspect_err(|_| screen.findings(interrupted.as_slice()))?;
    let page = page(&found.paths, &installed);
    let mut findings = findings(&page, &found.paths, &installed);
    let kept = ((&installed, &found.paths), (&found.answers, page.runtime));
    let words = layout::words(&found.paths, page.runtime);
    let kept = kept::findings(kept.0, kept.1, &page.roles);
    findings.extend(kept.into_iter().map(|finding| finding.in_full(&words)));
    let is_failed =
        page.roles.iter().any(RoleView::is_down) || findings.iter().any(Finding::is_error);
    let exit = if is_failed { Exit::Failed } else { Exit::Done };
    // Where the engine is away, that is what keeps the roles down, or will.
    let away = if page.runtime == Runtime::Swarm { without_engine(exit) } else { None };
    findings.extend(unresponsive(&page.roles, &found.paths, page.runtime));
    findings.extend(away.or_else(|| down(&page.roles, &found.paths, page.runtime)));
    findings.splice(0..0, interrupted);
    findings.sort_by_key(|finding| !finding.is_error());

    if screen.is_json {
        screen.document(&page.document(&findings, &found.answers.document()));
        return Ok(exit);
    }
    screen.block(&page.lines(screen.width()).join("\n"));
    screen.findings(&findings);
    Ok(exit)
}

/// What is installed, and its state.
fn page(paths: &Paths, installed: &Installed) -> StatusPage {
    let Record { version, runtime, last_change, .. } = Record::of(installed, paths);
    let ask = |role| {
        let view = RoleView::ask(paths, role);
        let is_down = view.is_down();
        view.restarted(is_down.then(|| crashes::restarts(paths, role, runtime)).flatten())
    };
    let roles = installed.roles(paths);
    let conf = |role| present(installed, paths, role).filter(|_| roles.contains(&role));
    let manager = conf(Role::Cm);
    let gateway = conf(Role::Sg);
    let values = |conf: Option<&ConfFile>, key: &str| -> Vec<String> {
        let all = conf.into_iter().flat_map(|conf| conf.values(key));
        all.map(|entry| entry.value.to_owned()).collect()
    };
    StatusPage {
        now: OffsetDateTime::now_utc(),
        place: layout::place(paths.root()),
        runtime,
        version,
        installer: env!("CARGO_PKG_VERSION").to_owned(),
        last_change,
        broker: values(manager.as_ref(), "PcoipAddress").pop(),
        external: values(gateway.as_ref(), "ExternalRoutableIP"),
        gateways: values(manager.as_ref(), "ExternalSecurityGateway"),
        certificates: certificates(paths, installed),
        logs: paths.logs().to_owned(),
        roles: roles.into_iter().map(ask).collect(),
    }
}

/// What is wrong with it, as far as its services run.
fn findings(page: &StatusPage, paths: &Paths, installed: &Installed) -> Vec<Finding> {
    let mut findings = broker_findings(&page.roles, paths, installed);
    findings.extend(preflight::of_status(installed, paths, page.runtime));
    findings.extend(page.roles.iter().flat_map(|view| rejected(view, paths, page.runtime)));
    findings.extend(full(paths));
    let unread = |file: &CertificateFile| Some(unreadable(&file.path, file.held.as_ref().err()?));
    findings.extend(page.certificates.iter().filter_map(unread));
    let words = layout::words(paths, page.runtime);
    findings.into_iter().map(|finding| finding.in_full(&words)).collect()
}

/// What keeps log-ons from working or from being safe.
fn broker_findings(views: &[RoleView], paths: &Paths, installed: &Installed) -> Vec<Finding> {
    let words = layout::words(paths, Record::of(installed, paths).runtime);
    let seen = views.iter().filter_map(RoleView::broker);
    let mut findings: Vec<_> = seen.filter_map(|seen| running::finding(seen, &words)).collect();
    findings.extend(views.iter().flat_map(RoleView::refusing).map(|it| running::refusal(&it)));
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
        "{free} MB of disk space is free for `{}`; when the disk is full, sessions and logs are \
         not written",
        folder.display()
    );
    let cure = "free some space on that file system; the services recover by themselves";
    Some(Finding::warning("host.disk", what, cure))
}

/// What to do where the docker engine does not answer.
fn without_engine(exit: Exit) -> Option<Finding> {
    let found = preflight::engine::away(&Engine::connect(|| false).err()?);
    Some(match exit {
        Exit::Done => Finding { level: Level::Warning, ..found },
        _ => found,
    })
}

/// All certificates that the roles show or verify with: the installer's, and others that their
/// configurations name.
fn certificates(paths: &Paths, installed: &Installed) -> Vec<CertificateFile> {
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
        let held = content.map_err(|error| cause::of_io(&error));
        let held = held.and_then(|content| {
            inspect::certificates(content.bytes()).map_err(|why| why.to_string())
        });
        Some(CertificateFile { path, held })
    };
    shown.into_iter().filter_map(read).collect()
}
