//! A plan in a few lines, for the question whether it is to be performed.

use std::path::Path;

use cmsg_config::{
    Paths,
    socket::{Role, Status},
};
use time::{Date, Duration};

use super::{
    Change,
    clients::{self, When},
};
use crate::{
    args::settings::Setting,
    content::Content,
    host::Facts,
    installation::{Runtime, layout, record::Record},
    pki::{generate::TLS_DAYS, inspect},
    plan::Plan,
    screen::wrap::{self, Width},
    shown::counted,
    step::Step,
    wanted::{Certificate, Wanted},
};

/// So many settings are listed one by one.
const MOST: usize = 5;

/// What a plan comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned<'a> {
    pub(crate) wanted: &'a Wanted,
    pub(crate) facts: &'a Facts,
    pub(crate) plan: &'a Plan,
    /// Stands between an old value and a new one.
    pub(crate) arrow: &'static str,
    /// Whether every setting that changes is listed.
    pub(crate) is_verbose: bool,
}

/// A plan in a few lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    title: String,
    rows: Vec<(String, String)>,
}

impl Summary {
    /// That of an installation, with the settings that it keeps from the last one.
    pub(crate) fn of_installation(planned: Planned<'_>, kept: usize) -> Self {
        let Planned { wanted, facts, .. } = planned;
        let mut rows = vec![row("Runtime", runtime(wanted, facts))];
        rows.extend(clients::url(wanted, facts, When::Planned).map(|it| row("Clients", it)));
        rows.extend(clients::gateway(wanted, facts, When::Planned).map(|it| row("PCoIP", it)));
        rows.extend(certificate(planned).map(|it| row("Certificate", it)));
        rows.push(row("Host changes", on_host(planned).unwrap_or_else(|| "none".to_owned())));
        rows.push(row("Sessions", sessions(planned)));
        if kept > 0 {
            let settings = counted(kept, "setting");
            rows.push(row("Kept", format!("{settings} of the existing installation")));
        }
        let over = match &*Record::of(&facts.installed, &wanted.place.paths()).version {
            "" => String::new(),
            env!("CARGO_PKG_VERSION") => " over the existing installation".to_owned(),
            other => format!(" over version {other}"),
        };
        let (roles, version) = (roles(&wanted.roles()), env!("CARGO_PKG_VERSION"));
        Self { title: format!("Install the {roles} {version}{over}"), rows }
    }

    /// That of a change of settings.
    pub(crate) fn of_settings(planned: Planned<'_>, changes: &[Change]) -> Self {
        let mut rows = settings(planned, changes);
        rows.extend(effects(planned));
        Self { title: "Change the configuration".to_owned(), rows }
    }

    /// That of another version, and of the settings that come with it.
    pub(crate) fn of_version(planned: Planned<'_>, title: &str, changes: &[Change]) -> Self {
        let mut rows = vec![row("Version", version(planned))];
        if !changes.is_empty() {
            rows.extend(settings(planned, changes));
        }
        rows.extend(effects(planned));
        Self { title: title.to_owned(), rows }
    }

    /// As wide as that.
    pub(crate) fn lines(&self, width: Width) -> String {
        let title = wrap::text(&self.title, width);
        format!("{title}\n{}", wrap::table(&self.rows, 2, width))
    }
}

fn row(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn settings(planned: Planned<'_>, changes: &[Change]) -> Vec<(String, String)> {
    if changes.is_empty() {
        return vec![row("Settings", "unchanged")];
    }
    let shown = |text: &str| if text.is_empty() { "(none)".to_owned() } else { text.to_owned() };
    let line = |Change { setting, before, after }: &Change| {
        row(setting, format!("{} {} {}", shown(before), planned.arrow, shown(after)))
    };
    let is_short = planned.is_verbose || changes.len() <= MOST + 1;
    let most = if is_short { changes.len() } else { MOST };
    let mut rows: Vec<_> = changes[..most].iter().map(line).collect();
    if let more @ 2.. = changes.len() - most {
        rows.push(row("Settings", format!("{more} more; `--verbose` lists all")));
    }
    rows
}

/// What a change has for effects besides.
fn effects(planned: Planned<'_>) -> Vec<(String, String)> {
    let is_new = |step: &Step| is_certificate(step, &planned.wanted.place.paths());
    let is_new = planned.plan.steps.iter().any(is_new);
    let certificate = if is_new { certificate(planned) } else { None };
    let certificate = certificate.map(|it| row("Certificate", it));
    let on_host = on_host(planned).map(|it| row("Host changes", it));
    let restarts = &planned.plan.restarts;
    let restarts = if restarts.is_empty() { "nothing".to_owned() } else { named(restarts) };
    let effects = [row("Restarts", restarts), row("Sessions", sessions(planned))];
    certificate.into_iter().chain(on_host).chain(effects).collect()
}

fn roles(roles: &[Role]) -> String {
    let name = |role: &Role| match role {
        Role::Cm => "Connection Manager",
        Role::Sg => "Security Gateway",
    };
    roles.iter().map(name).collect::<Vec<_>>().join(" and ")
}

pub(super) fn named(roles: &[Role]) -> String {
    let names = roles.iter().map(|role| role.command().replace('-', " "));
    names.collect::<Vec<_>>().join(" and ")
}

fn version(Planned { wanted, facts, arrow, .. }: Planned<'_>) -> String {
    let before = Record::of(&facts.installed, &wanted.place.paths()).version;
    let after = match &facts.back_to {
        Some(back) => back.previous.version.clone(),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    };
    if before.is_empty() {
        after
    } else if before == after {
        format!("{after} (installed)")
    } else {
        format!("{before} {arrow} {after}")
    }
}

fn runtime(wanted: &Wanted, facts: &Facts) -> String {
    let runs = match wanted.place.runtime {
        Runtime::Swarm => "Docker Swarm",
        Runtime::Host if facts.installed.units.are_used => "systemd",
        Runtime::Host => "a supervisor process",
    };
    format!("{runs}, in `{}`", wanted.place.paths().base().display())
}

/// The certificate afterwards, and when it expires.
fn certificate(Planned { wanted, facts, plan, .. }: Planned<'_>) -> Option<String> {
    let paths = wanted.place.paths();
    let is_made =
        |step: &Step| matches!(step, Step::MakeCertificate(_)) && is_certificate(step, &paths);
    if plan.steps.iter().any(is_made) {
        let expires = facts.now + Duration::days(TLS_DAYS);
        return Some(format!("new, self-signed, expires on {}", expires.date()));
    }
    let (content, what) = match &wanted.certificate {
        Certificate::SelfSigned => {
            (facts.base().content(&layout::certificate(&paths))?, "self-signed".to_owned())
        }
        Certificate::Given { certificate, .. } => {
            let given = facts.given.get(&Setting::SslCert)?.as_ref().ok()?;
            (given, format!("`{}`", certificate.path.display()))
        }
    };
    Some(format!("{what}, expires on {}", expiry(content)?))
}

fn expiry(content: &Content) -> Option<Date> {
    Some(inspect::certificates(content.bytes()).ok()?.first()?.not_after.date())
}

fn is_certificate(step: &Step, paths: &Paths) -> bool {
    let is_it = |path: &Path| *path == layout::certificate(paths);
    match step {
        Step::MakeCertificate(made) => is_it(&made.certificate),
        Step::Write(written) => is_it(&written.path),
        _ => false,
    }
}

/// What changes on the host beyond the installation's own files.
fn on_host(Planned { plan, .. }: Planned<'_>) -> Option<String> {
    let mut changes: Vec<_> = plan.steps.iter().filter_map(Step::on_host).collect();
    changes.dedup();
    (!changes.is_empty()).then(|| changes.join(", "))
}

/// Whose sessions are interrupted.
fn sessions(Planned { facts, plan, .. }: Planned<'_>) -> String {
    let all_end = |step: &Step| {
        matches!(step, Step::Stop(_) | Step::RemoveServices(_) | Step::RemoveAdopted(_))
    };
    if plan.steps.iter().any(all_end) {
        return "all sessions end; clients cannot connect for a few seconds".to_owned();
    }
    let in_use = |status: &Status| status.usage.map_or(status.sessions, |usage| usage.in_use);
    let line = |role: &Role| match role {
        Role::Cm => "users cannot log on for a few seconds".to_owned(),
        Role::Sg if facts.installed.unresponsive.contains(&Role::Sg) => {
            "the gateway does not answer; its sessions pause for a few seconds".to_owned()
        }
        Role::Sg => {
            let live = facts.installed.live.iter().find(|status| status.role == Role::Sg);
            match live.map(in_use) {
                None | Some(0) => "the gateway has no sessions".to_owned(),
                Some(1) => "1 session of the gateway pauses for a few seconds".to_owned(),
                Some(count) => format!("{count} sessions of the gateway pause for a few seconds"),
            }
        }
    };
    let lines: Vec<_> = plan.restarts.iter().map(line).collect();
    if lines.is_empty() { "not interrupted".to_owned() } else { lines.join("; ") }
}
