//! What to do about services that do not run or do not answer.

use cmsg_config::{Paths, socket::Role};
use cmsg_engine::stack::service_name;

use crate::{
    finding::Finding,
    installation::{Runtime, layout},
    report::roles::{RoleState, RoleView},
    runtime::units,
};

/// Reports the services that are not running.
pub(super) fn down(views: &[RoleView], paths: &Paths, runtime: Runtime) -> Option<Finding> {
    // Why a role has rejected its configuration is reported by itself.
    let is_down =
        |view: &&RoleView| view.is_down() && view.rejection().is_none() && !is_unresponsive(view);
    let services = Services::of(views.iter().filter(is_down), paths, runtime)?;
    let start = format!("`pcoip-cmsg-setup install{}`", layout::words(paths, runtime));
    let them = services.them();
    let wait = match runtime {
        Runtime::Swarm => {
            format!("wait a minute if Docker was just restarted; otherwise start {them}")
        }
        Runtime::Host => format!("start {them}"),
    };
    let verb = if services.roles.len() == 1 { "is" } else { "are" };
    let what = format!("the {} {verb} not running", services.names);
    Some(Finding::error("role.down", what, format!("{wait} with {start}; {}", services.logs())))
}

/// Reports the services that are running, but do not answer.
pub(super) fn unresponsive(views: &[RoleView], paths: &Paths, runtime: Runtime) -> Option<Finding> {
    let is_one = |view: &&RoleView| is_unresponsive(view);
    let services = Services::of(views.iter().filter(is_one), paths, runtime)?;
    let verbs = if services.roles.len() == 1 { ["is", "does"] } else { ["are", "do"] };
    let [is, does] = verbs;
    let what = format!("the {} {is} running but {does} not answer", services.names);
    let cure =
        format!("restart {} with {}; {}", services.them(), services.restart(), services.logs());
    Some(Finding::error("role.not-responding", what, cure))
}

fn is_unresponsive(view: &RoleView) -> bool {
    view.state() == RoleState::NotResponding
}

/// Services that something is wrong with.
struct Services<'a> {
    names: String,
    roles: Vec<Role>,
    /// Those that systemd runs.
    units: Vec<String>,
    paths: &'a Paths,
    runtime: Runtime,
}

impl<'a> Services<'a> {
    fn of<'v>(
        views: impl Iterator<Item = &'v RoleView>,
        paths: &'a Paths,
        runtime: Runtime,
    ) -> Option<Self> {
        let (mut names, mut roles) = (Vec::new(), Vec::new());
        for view in views {
            names.push(view.name());
            roles.push(view.role());
        }
        let is_unit = |role: &&Role| runtime == Runtime::Host && units::keep(paths, **role);
        let units = roles.iter().filter(is_unit).map(|role| layout::unit_name(*role)).collect();
        let names = names.join(" and the ");
        (!roles.is_empty()).then_some(Self { names, roles, units, paths, runtime })
    }

    fn them(&self) -> &'static str {
        if self.roles.len() == 1 { "it" } else { "them" }
    }

    /// The command that restarts them.
    fn restart(&self) -> String {
        let words = layout::words(self.paths, self.runtime);
        match self.runtime {
            Runtime::Swarm => {
                let force = |role: &Role| {
                    format!("`docker service update --force {}`", service_name(*role))
                };
                self.roles.iter().map(force).collect::<Vec<_>>().join(" and ")
            }
            Runtime::Host if self.units.is_empty() => format!("`pcoip-cmsg-setup install{words}`"),
            Runtime::Host => format!("`systemctl restart {}`", self.units.join(" ")),
        }
    }

    /// Where the cause can be found.
    fn logs(&self) -> String {
        match self.runtime {
            Runtime::Swarm => {
                let logs = |role: &Role| format!("`docker service logs {}`", service_name(*role));
                let logs: Vec<_> = self.roles.iter().map(logs).collect();
                format!(
                    "`docker stack ps --no-trunc {}` and {} show the cause",
                    cmsg_engine::STACK,
                    logs.join(" and ")
                )
            }
            Runtime::Host if self.units.is_empty() => {
                let log = layout::supervise_log(self.paths);
                format!("the end of `{}` shows the cause", log.display())
            }
            Runtime::Host => {
                let logs = |unit: &String| format!("`journalctl -u {unit}`");
                let logs: Vec<_> = self.units.iter().map(logs).collect();
                let show = if logs.len() == 1 { "shows" } else { "show" };
                format!("{} {show} the cause", logs.join(" and "))
            }
        }
    }
}
