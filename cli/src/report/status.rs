//! What `status` prints: lines of a given width, from values alone.

use std::path::{Path, PathBuf};

use cmsg_config::{
    socket::{BrokerStatus, GatewayStanding, Role, Usage},
    values::BrokerUrl,
};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    bans,
    page::{entry, table, wrap},
    roles::{self, RoleState, RoleView},
};
use crate::{
    finding::Finding,
    installation::{Runtime, record::LastChange},
    pki::inspect,
    screen::wrap::Width,
    shown::counted,
};

mod failover;

/// An installation as `status` reports it.
#[derive(Debug)]
pub(crate) struct StatusPage {
    pub(crate) now: OffsetDateTime,
    /// Where it is: `on this host`.
    pub(crate) place: String,
    /// What runs its services.
    pub(crate) runtime: Runtime,
    pub(crate) version: String,
    /// The version of this installer.
    pub(crate) installer: String,
    /// The last command that changed it, if that was recorded.
    pub(crate) last_change: Option<LastChange>,
    pub(crate) roles: Vec<RoleView>,
    /// The broker's URL in the configuration, for a Connection Manager that does not answer.
    pub(crate) broker: Option<String>,
    /// The addresses that clients are told.
    pub(crate) external: Vec<String>,
    /// The gateways on other hosts in the configuration.
    pub(crate) gateways: Vec<String>,
    /// The certificates that it uses.
    pub(crate) certificates: Vec<CertificateFile>,
    /// Where the logs are.
    pub(crate) logs: PathBuf,
}

/// A file of certificates.
#[derive(Debug)]
pub(crate) struct CertificateFile {
    pub(crate) path: PathBuf,
    /// What it contains, or why that cannot be read.
    pub(crate) held: Result<Vec<inspect::Certificate>, String>,
}

impl StatusPage {
    /// The lines for people.
    pub(crate) fn lines(&self, width: Width) -> Vec<String> {
        let mut lines = self.roles_table(width);
        lines.push(String::new());
        let one = |label, value: Option<String>| entry(label, value.as_slice(), width);
        lines.extend(entry("Broker", &self.broker_values(), width));
        lines.extend(one("External IP", joined(&self.external)));
        lines.extend(entry("Gateways", &self.gateway_values(), width));
        let failover = self.roles.iter().filter_map(RoleView::failover).flat_map(failover::values);
        lines.extend(entry("Failover", &failover.collect::<Vec<_>>(), width));
        let logons = self.roles.iter().filter_map(RoleView::logons).filter_map(bans::summary);
        lines.extend(entry("Log-ons", &logons.collect::<Vec<_>>(), width));
        let files = self.certificates.iter().flat_map(|file| file.values(self.now));
        lines.extend(entry("Certificates", &files.collect::<Vec<_>>(), width));
        let listens = self.roles.iter().filter_map(|role| joined(role.listens()));
        lines.extend(entry("Listening", &listens.collect::<Vec<_>>(), width));
        lines.extend(one("Logs", Some(self.logs.display().to_string())));
        let runtime = match self.runtime {
            Runtime::Swarm => "in Docker Swarm",
            Runtime::Host => "without Docker",
        };
        lines.extend(one("Installed", Some(format!("{}, {runtime}", self.place))));
        lines.extend(entry("Version", &self.versions(), width));
        let change = self.last_change.as_ref();
        let change = change.map(|LastChange { command, at }| format!("`{command}` at {at}"));
        lines.extend(one("Last change", Some(change.unwrap_or_else(|| "unknown".to_owned()))));
        lines
    }

    /// The document for programs.
    pub(crate) fn document(&self, findings: &[Finding], settings: &Value) -> Value {
        let files = self.certificates.iter().flat_map(|file| file.rows(self.now));
        json!({
            "schema": 1,
            "version": self.version,
            "installer_version": self.installer,
            "runtime": self.runtime,
            "last_change": self.last_change,
            "roles": roles::document(&self.roles),
            "external_addresses": self.external,
            "certificates": files.collect::<Vec<_>>(),
            "findings": findings,
            "settings": settings,
        })
    }

    fn roles_table(&self, width: Width) -> Vec<String> {
        let head = ["ROLE", "STATE", "UPTIME", "SESSIONS"].map(str::to_owned);
        let rows: Vec<_> = self.roles.iter().map(|role| self.row(role)).collect();
        let rows = table(&[vec![head], rows].concat());
        let mut rows = rows.iter().map(|row| wrap("", row, width));
        let mut lines = rows.next().unwrap_or_default();
        for (role, row) in self.roles.iter().zip(rows) {
            lines.extend(row);
            let reasons = reasons(role);
            lines.extend(reasons.iter().flat_map(|text| wrap("  ", text, width)));
        }
        lines
    }

    fn row(&self, role: &RoleView) -> [String; 4] {
        let uptime = match role.started() {
            _ if role.is_down() => "-".to_owned(),
            None => "unknown".to_owned(),
            Some(started) => {
                let now = self.now.unix_timestamp_nanos() / 1_000_000;
                let passed = now.saturating_sub(started.into()).max(0) / 1000;
                duration(u64::try_from(passed).unwrap_or_default())
            }
        };
        let sessions = match role.usage() {
            _ if role.is_down() => "-".to_owned(),
            Some(Usage { in_use, resumable }) => format!("{in_use} in use, {resumable} resumable"),
            None => role.sessions().to_string(),
        };
        [role.name(), role.state().words().to_owned(), uptime, sessions]
    }

    fn broker_values(&self) -> Vec<String> {
        let seen = self.roles.iter().find_map(RoleView::broker);
        match (seen, &self.broker) {
            (Some(broker), _) => {
                vec![broker.url.clone(), reachability(broker), certificate_check(broker)]
            }
            (None, Some(url)) => {
                let manager = self.roles.iter().find(|role| role.role() == Role::Cm);
                let why = match manager.map(RoleView::state) {
                    Some(RoleState::NotResponding) => "the connection manager does not answer",
                    Some(state) if state.is_running() => {
                        "the connection manager does not report it"
                    }
                    _ => "the connection manager is not running",
                };
                vec![url.clone(), format!("state unknown: {why}")]
            }
            (None, None) => Vec::new(),
        }
    }

    fn gateway_values(&self) -> Vec<String> {
        let known: Vec<_> = self.roles.iter().flat_map(RoleView::gateways).collect();
        if known.is_empty() {
            let unknown = |gateway: &String| format!("{gateway}: state unknown");
            return self.gateways.iter().map(unknown).collect();
        }
        known.into_iter().map(|gateway| self.gateway(gateway)).collect()
    }

    fn gateway(&self, standing: &GatewayStanding) -> String {
        let GatewayStanding { gateway, is_own, takes_sessions, reason, .. } = standing;
        let is_own = is_own.unwrap_or_else(|| !self.gateways.contains(gateway));
        let whose = if is_own { " (this host)" } else { "" };
        let state = match (takes_sessions, reason) {
            (true, _) => "accepts sessions".to_owned(),
            (false, None) => "accepts no sessions".to_owned(),
            (false, Some(reason)) => format!("accepts no sessions: {reason}"),
        };
        format!("{gateway}{whose}: {state}")
    }

    fn versions(&self) -> Vec<String> {
        let mut values = vec![self.version.clone()];
        if self.installer != self.version {
            values.push(format!("{} (this installer)", self.installer));
        }
        for role in &self.roles {
            let other = role.version().filter(|version| *version != self.version);
            values.extend(other.map(|version| format!("{version} (running {})", role.name())));
        }
        values
    }
}

/// Why a role is not healthy, where its state does not say it.
fn reasons(role: &RoleView) -> Vec<String> {
    match role.state() {
        RoleState::Healthy => Vec::new(),
        RoleState::Draining => vec!["it accepts no new sessions".to_owned()],
        RoleState::CrashLooping => {
            let times = |count: u64| {
                format!(
                    "restarted {}",
                    counted(usize::try_from(count).unwrap_or(usize::MAX), "time")
                )
            };
            role.restarts().map(times).into_iter().collect()
        }
        RoleState::ConfigurationRejected => {
            role.rejection().map(|it| it.problems.clone()).unwrap_or_default()
        }
        RoleState::NotReady | RoleState::NotResponding | RoleState::Stopped => {
            role.own_reason().map(str::to_owned).into_iter().collect()
        }
    }
}

fn reachability(broker: &BrokerStatus) -> String {
    let since = |since: &Option<String>| match since {
        Some(since) => format!(" since {since}"),
        None => String::new(),
    };
    match (&broker.reason, broker.answers) {
        (Some(reason), _) => {
            format!("failing{}: {}", since(&broker.since), without_url(reason, &broker.url))
        }
        (None, true) => format!("reachable{}", since(&broker.since)),
        (None, false) => "not checked yet".to_owned(),
    }
}

/// The reason without the broker's URL, which is printed above it.
fn without_url<'a>(reason: &'a str, url: &str) -> &'a str {
    let url = format!("`{url}{}`", BrokerUrl::PATH);
    let rest = reason.strip_prefix("requesting ").and_then(|rest| rest.strip_prefix(&url));
    let rest = rest.and_then(|rest| rest.strip_prefix(": "));
    rest.or_else(|| reason.strip_prefix(&url).map(str::trim_start)).unwrap_or(reason)
}

fn certificate_check(broker: &BrokerStatus) -> String {
    let text = match broker {
        BrokerStatus { is_verified: false, .. } => {
            "certificate NOT verified: passwords can be intercepted"
        }
        BrokerStatus { refused: Some(_), .. } => "certificate refused",
        BrokerStatus { answers: false, .. } => {
            "certificate state unknown: the last check of the broker failed"
        }
        BrokerStatus { is_pinned: Some(true), .. } => "certificate verified (pinned)",
        _ => "certificate verified",
    };
    text.to_owned()
}

fn joined(values: &[String]) -> Option<String> {
    (!values.is_empty()).then(|| values.join(", "))
}

/// A time in its two largest units, as `kubectl` prints ages.
fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{minutes}m"),
        (days, hours, _) => format!("{days}d{hours}h"),
    }
}

impl CertificateFile {
    /// Its rows of the document.
    pub(crate) fn rows(&self, now: OffsetDateTime) -> Vec<Value> {
        let all = match &self.held {
            Ok(all) => all,
            Err(why) => return vec![json!({ "path": self.path, "error": why })],
        };
        let row = |certificate: &inspect::Certificate| {
            json!({
                "path": self.path,
                "subject": certificate.subject,
                "expires": expires(certificate),
                "self_signed": certificate.is_self_issued,
                "days_left": days_left(certificate, now),
            })
        };
        all.iter().map(row).collect()
    }

    fn values(&self, now: OffsetDateTime) -> Vec<String> {
        let path = path(&self.path);
        let all = match &self.held {
            Ok(all) => all,
            Err(why) => return vec![format!("{path}: unreadable ({why})")],
        };
        let value = |certificate: &inspect::Certificate| {
            let issuer = match certificate.is_self_issued {
                true => "self-signed".to_owned(),
                false => format!("issued by {}", certificate.issuer),
            };
            let (left, expires) = (days_left(certificate, now), expires(certificate));
            let left = match left {
                left if left < 0 => format!("EXPIRED at {expires}"),
                left => {
                    let days = counted(usize::try_from(left).unwrap_or_default(), "day");
                    format!("{days} left (until {expires})")
                }
            };
            format!("  {}, {issuer}, {left}", certificate.subject)
        };
        [path].into_iter().chain(all.iter().map(value)).collect()
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn expires(certificate: &inspect::Certificate) -> String {
    certificate.not_after.format(&Rfc3339).unwrap_or_default()
}

/// Whole days until it expires, negative once it has.
fn days_left(certificate: &inspect::Certificate, now: OffsetDateTime) -> i64 {
    (certificate.not_after - now).whole_seconds().div_euclid(86_400)
}

#[cfg(test)]
mod tests;
