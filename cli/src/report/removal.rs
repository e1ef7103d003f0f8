//! The plan of `uninstall` in at most ten lines: what is removed, what is kept and which sessions end.

use std::path::PathBuf;

use cmsg_config::{
    Paths,
    socket::{Role, Status, Usage},
};

use super::page::entry;
use crate::screen::wrap::Width;
use crate::{
    installation::{account::NAME, installed::Installed, layout},
    plan::Plan,
    shown::counted,
    step::Step,
};

/// A removal that is planned.
#[derive(Debug)]
pub(crate) struct Removal<'a> {
    pub(crate) paths: &'a Paths,
    /// Its services and files.
    pub(crate) installed: &'a Installed,
    /// How it is removed.
    pub(crate) plan: &'a Plan,
    /// Whether configuration, keys and logs are deleted.
    pub(crate) purges: bool,
}

impl Removal<'_> {
    /// The lines, ten at most where the width allows it.
    pub(crate) fn lines(&self, width: Width) -> Vec<String> {
        let place = layout::place(self.paths.root());
        let mut lines = vec![format!("This removes the installation {place}:")];
        lines.extend(entry("  Removed", &self.removed(), width));
        lines.extend(entry("  Sessions", &[self.sessions()], width));
        let files = self.files();
        lines.extend(entry(if self.purges { "  Deleted" } else { "  Kept" }, &files, width));
        let foreign = self.installed.contents.foreign.len();
        if self.purges && foreign > 0 {
            let kept = format!("{} that the installer did not create", counted(foreign, "file"));
            lines.extend(entry("  Kept", &[kept], width));
        }
        lines
    }

    fn removed(&self) -> Vec<String> {
        let roles = self.installed.roles(self.paths);
        let names: Vec<_> = roles.iter().map(|role| role.command().replace('-', " ")).collect();
        let mut removed = vec![match names.is_empty() {
            true => "the program".to_owned(),
            false => format!("{} and the daemon", names.join(", ")),
        }];
        let has = |is_kind: fn(&Step) -> bool| self.plan.steps.iter().any(is_kind);
        if let Some(gone) = self.plan.steps.iter().find_map(|step| match step {
            Step::LeaveEngine(gone) => Some(gone),
            _ => None,
        }) {
            let parts = [
                Some("Docker services"),
                gone.network.then_some("network"),
                (!gone.images.is_empty()).then_some("images"),
                gone.swarm.then_some("swarm"),
            ];
            removed.push(parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        }
        let host = [
            has(|step| matches!(step, Step::Units(_))).then_some("systemd units"),
            has(|step| matches!(step, Step::Firewall(_))).then_some("firewall rules"),
            has(|step| matches!(step, Step::Kernel(_))).then_some("kernel settings"),
        ];
        let host: Vec<_> = host.into_iter().flatten().collect();
        if !host.is_empty() {
            removed.push(host.join(", "));
        }
        if has(|step| matches!(step, Step::RemoveAccount(_))) {
            removed.push(format!("the account `{NAME}`"));
        }
        removed
    }

    fn sessions(&self) -> String {
        let live = &self.installed.live;
        if let Some(role) = self.installed.unresponsive.last() {
            let name = role.command().replace('-', " ");
            return format!("unknown: the {name} does not answer");
        }
        if live.is_empty() {
            return "none, the services are not running".to_owned();
        }
        let usage = |status: &Status| {
            status.usage.unwrap_or(Usage { in_use: status.sessions, resumable: 0 })
        };
        let in_use: usize = live.iter().map(|status| usage(status).in_use).sum();
        let gateway = live.iter().find(|status| status.role == Role::Sg);
        let resumable = gateway.map_or(0, |status| usage(status).resumable);
        let in_use = match in_use {
            0 => "none in use".to_owned(),
            1 => "1 session in use ends".to_owned(),
            _ => format!("{in_use} sessions in use end"),
        };
        match resumable {
            0 => in_use,
            1 => format!("{in_use}, 1 can no longer be resumed"),
            _ => format!("{in_use}, {resumable} can no longer be resumed"),
        }
    }

    fn files(&self) -> Vec<String> {
        let at = |what: &str, path: PathBuf| format!("{what} in `{}`", path.display());
        vec![
            at("configuration, certificates and keys", self.paths.base().to_owned()),
            at("logs", self.paths.logs().to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::{
        installation::contents::Contents,
        plan::tests::{BOTH, installed},
        report::page::tests::compare,
        step::{
            delete::Delete, leave_engine::LeaveEngine, remove_account::RemoveAccount, units::Units,
        },
    };

    fn status(role: Role, in_use: usize, resumable: usize) -> Status {
        Status {
            role,
            version: String::new(),
            pid: 7,
            ready: true,
            reason: None,
            listens: Vec::new(),
            sessions: in_use + resumable,
            usage: Some(Usage { in_use, resumable }),
            files_read: None,
            started: None,
            deployment: None,
            logons: None,
            turned_away: None,
            failover: None,
            unserved: None,
            broker: None,
        }
    }

    #[test]
    fn each_removal_has_its_page() {
        let under = Paths::under("/r");
        let units = Units {
            paths: under.clone(),
            files: Vec::new(),
            disables: vec![Role::Cm],
            enables: Vec::new(),
        };
        let engine = LeaveEngine { network: true, images: vec!["one".to_owned()], swarm: true };
        let scenes = [
            ("uninstall", false, vec![Step::Delete(Delete(Vec::new()))], (0, 0)),
            ("uninstall in Docker Swarm", false, vec![Step::LeaveEngine(engine)], (2, 5)),
            (
                "uninstall --purge",
                true,
                vec![Step::Units(units), Step::RemoveAccount(RemoveAccount)],
                (1, 0),
            ),
        ];
        let mut hung = installed(BOTH).installed;
        hung.unresponsive = vec![Role::Sg];
        let plan = Plan { steps: Vec::new(), restarts: Vec::new() };
        let removal = Removal { paths: &under, installed: &hung, plan: &plan, purges: false };
        assert_eq!(removal.sessions(), "unknown: the security gateway does not answer");

        let mut pages = String::new();
        for (scene, purges, steps, (in_use, resumable)) in scenes {
            let mut there = installed(BOTH).installed;
            there.live = vec![status(Role::Cm, 0, 3), status(Role::Sg, in_use, resumable)];
            let foreign = vec!["/r/a".into(), "/r/b".into()];
            there.contents = Contents { own: Vec::new(), foreign };
            let plan = Plan { steps, restarts: Vec::new() };
            for width in [80, 120] {
                let removal = Removal { paths: &under, installed: &there, plan: &plan, purges };
                let lines = removal.lines(Width::of_columns(width));
                assert!(lines.len() <= 10, "{lines:#?}");
                let _ = write!(pages, "== {scene}, {width} columns\n{}\n\n", lines.join("\n"));
            }
        }

        compare(&pages, "removal/pages.txt");
    }
}
