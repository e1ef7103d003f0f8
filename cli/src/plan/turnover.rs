//! Which roles stop before the files change and start afterwards: those whose configuration changes,
//! and all of them when the daemon itself does. Certificates they read again without an end.

use std::path::Path;

use cmsg_config::{Paths, socket::Role};

use crate::{
    host::{Facts, daemon::DaemonFact},
    installation::layout,
    step::{
        Step,
        hold::Hold,
        make_certificate::MakeCertificate,
        reload::{Reload, Reloaded},
        remove::Remove,
        start::Start,
        start_role::StartRole,
        stop::Stop,
        stop_role::StopRole,
        write::Write,
    },
    wanted::Wanted,
};

/// The steps around those that change files.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    pub(super) stops: Vec<Step>,
    pub(super) starts: Vec<Step>,
    /// The roles whose sessions end on the way.
    pub(super) restarts: Vec<Role>,
    /// What the deployment of each role will be called, in Docker Swarm.
    pub(super) deployments: Vec<(Role, String)>,
    /// Whether other images run afterwards.
    pub(super) has_other_images: bool,
}

impl Turnover {
    /// Decides it for the steps that change what roles read.
    pub(super) fn around(steps: &[Step], wanted: &Wanted, facts: &Facts) -> Self {
        let paths = wanted.place.paths();
        let installed = &facts.installed;
        if installed.units.are_used {
            return Self::of_units(steps, wanted, facts);
        }
        let start = Step::Start(Start { paths: paths.clone(), has_log: installed.has_log });
        if !installed.supervisor_runs {
            return Self { starts: vec![start], ..Self::default() };
        }
        let running = installed.roles(&paths);
        let restarting = |roles: &[Role]| {
            let wanted = wanted.roles();
            roles.iter().copied().filter(|role| wanted.contains(role)).collect()
        };
        if matches!(facts.daemon, DaemonFact::Copy(_)) {
            let restarts = restarting(&running);
            let stops = vec![Step::Stop(Stop { paths, roles: running })];
            return Self { stops, starts: vec![start], restarts, ..Self::default() };
        }
        let is_changed = |role: &Role| starts_anew(steps, facts, &paths, *role);
        let reloads = |role: &Role| !is_changed(role) && reads_again(steps, &paths, *role);
        let reloading: Vec<_> = running.iter().copied().filter(reloads).collect();
        let rests = |role: &Role| installed.rejected.contains(role);
        let stopping: Vec<_> =
            running.into_iter().filter(|role| is_changed(role) && !rests(role)).collect();
        let starting = wanted.roles().into_iter().filter(|role| is_changed(role) || rests(role));
        let turnover = Self {
            restarts: restarting(&stopping),
            deployments: Vec::new(),
            has_other_images: false,
            starts: starting
                .map(|role| Step::StartRole(StartRole { paths: paths.clone(), role }))
                .collect(),
            stops: stopping
                .into_iter()
                .map(|role| Step::StopRole(StopRole { paths: paths.clone(), role }))
                .collect(),
        };
        turnover.reloading(reloading, &paths)
    }

    /// These read their certificates again, and when all is undone once more.
    fn reloading(mut self, roles: Vec<Role>, paths: &Paths) -> Self {
        if !roles.is_empty() {
            self.stops.insert(0, Step::Hold(Hold(vec![Reloaded(roles.clone()).into()])));
        }
        let reload = |role| Step::Reload(Reload { paths: paths.clone(), role });
        self.starts.extend(roles.into_iter().map(reload));
        self
    }

    /// systemd runs each role by itself. A supervisor, from before it did, goes.
    fn of_units(steps: &[Step], wanted: &Wanted, facts: &Facts) -> Self {
        let paths = wanted.place.paths();
        let installed = &facts.installed;
        let mut turnover = Self::default();
        if installed.supervisor_runs {
            let roles = installed.roles(&paths);
            turnover.stops.push(Step::Stop(Stop { paths: paths.clone(), roles }));
        }
        let is_new_daemon = matches!(facts.daemon, DaemonFact::Copy(_));
        let mut reloading = Vec::new();
        for role in [Role::Cm, Role::Sg] {
            let is_changed = is_new_daemon || starts_anew(steps, facts, &paths, role);
            let runs = installed.units.running.contains(&role);
            let is_wanted = wanted.roles().contains(&role);
            if runs && (is_changed || !is_wanted) {
                turnover.stops.push(Step::StopRole(StopRole { paths: paths.clone(), role }));
            }
            if is_wanted && (is_changed || !runs) {
                turnover.starts.push(Step::StartRole(StartRole { paths: paths.clone(), role }));
            }
            let ran =
                runs || (installed.supervisor_runs && installed.roles(&paths).contains(&role));
            if ran && is_wanted && (is_changed || installed.supervisor_runs) {
                turnover.restarts.push(role);
            }
            if runs && is_wanted && !is_changed && reads_again(steps, &paths, role) {
                reloading.push(role);
            }
        }
        turnover.reloading(reloading, &paths)
    }
}

/// Whether a role has to restart for steps on the host: its configuration or its unit changes, or it
/// does not answer.
fn starts_anew(steps: &[Step], facts: &Facts, paths: &Paths, role: Role) -> bool {
    let installed = &facts.installed;
    let is_live = installed.live.iter().any(|status| status.role == role);
    let is_at_start = |step: &Step| match step {
        Step::Units(_) => is_read(step, paths, role),
        step => is_conf(step, paths, role),
    };
    installed.edited.contains(&role)
        || installed.unresponsive.contains(&role)
        || steps.iter().any(is_at_start)
        || (!is_live && reads_again(steps, paths, role))
}

/// Whether steps change what a role reads again when it is told to: all but its configuration.
pub(super) fn reads_again(steps: &[Step], paths: &Paths, role: Role) -> bool {
    steps.iter().any(|step| !is_conf(step, paths, role) && is_read(step, paths, role))
}

fn is_conf(step: &Step, paths: &Paths, role: Role) -> bool {
    let conf = layout::conf(paths, role);
    match step {
        Step::Write(Write { path, .. }) | Step::Remove(Remove(path)) => *path == conf,
        _ => false,
    }
}

/// Whether a step changes what a role reads when it starts.
fn is_read(step: &Step, paths: &Paths, role: Role) -> bool {
    let files = layout::read_by(paths, role);
    let reads = |path: &Path| files.iter().any(|file| file == path);
    match step {
        Step::Write(Write { path, .. }) | Step::Remove(Remove(path)) => reads(path),
        Step::MakeCertificate(MakeCertificate { key, certificate, .. }) => {
            reads(key) || reads(certificate)
        }
        Step::Units(units) => units.changes_unit_of(role),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{
        install,
        tests::{BOTH, calls, installed, wanted},
    };

    #[test]
    fn a_role_that_does_not_answer_is_restarted() {
        let (wanted, answers) = wanted(BOTH);
        let mut facts = installed(BOTH);
        facts.installed.unresponsive = vec![Role::Sg];

        let plan = install(&wanted, &facts, &answers);

        assert_eq!(calls(&plan), ["stop security-gateway", "start security-gateway"]);
        assert_eq!(plan.restarts, [Role::Sg]);
    }

    #[test]
    fn a_role_that_rejected_its_configuration_is_started_once_it_is_good() {
        let (wanted, answers) = wanted(BOTH);
        let mut facts = installed(BOTH);
        facts.installed.rejected = vec![Role::Sg];
        for edited in [vec![], vec![Role::Sg]] {
            facts.installed.edited = edited;

            let plan = install(&wanted, &facts, &answers);

            assert_eq!(calls(&plan), ["start security-gateway"]);
            assert_eq!(plan.restarts, []);
        }
    }
}
