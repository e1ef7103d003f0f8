//! Whether what keeps a service running restarts it again and again: the supervisor, systemd or Docker.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use cmsg_config::{
    Paths,
    socket::{self, Role},
};
use cmsg_engine::{Engine, STACK};

use super::units;
use crate::installation::{Runtime, layout};

/// The supervisor answers at once or hangs.
const WAIT: Duration = Duration::from_secs(2);
/// One exit may be an accident.
const LOOP: u64 = 2;

/// How often a service that does not answer has been restarted, if it is restarted again and again.
pub(crate) fn restarts(paths: &Paths, role: Role, runtime: Runtime) -> Option<u64> {
    let count = match runtime {
        Runtime::Swarm => of_engine(role),
        Runtime::Host if units::keep(paths, role) => of_unit(role),
        Runtime::Host => of_supervisor(paths, role),
    };
    count.filter(|count| *count >= LOOP)
}

fn of_supervisor(paths: &Paths, role: Role) -> Option<u64> {
    let all = socket::supervised(&paths.run(), WAIT).ok()?;
    let one = match role {
        Role::Cm => all.cm,
        Role::Sg => all.sg,
    };
    one.runs.then_some(one.crashes.into())
}

fn of_unit(role: Role) -> Option<u64> {
    let words = ["show", "--property=SubState,NRestarts", &layout::unit_name(role)];
    let said = Command::new("systemctl").args(words).stdin(Stdio::null()).output().ok()?;
    in_unit(&String::from_utf8_lossy(&said.stdout))
}

/// Reads the properties of a unit. One that was stopped keeps its count.
fn in_unit(said: &str) -> Option<u64> {
    let value =
        |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let is_restarted = ["auto-restart", "start", "running"].contains(&value("SubState")?);
    is_restarted.then(|| value("NRestarts")?.parse().ok()).flatten()
}

fn of_engine(role: Role) -> Option<u64> {
    let service = match role {
        Role::Cm => format!("{STACK}_cm"),
        Role::Sg => format!("{STACK}_sg"),
    };
    let failed = Engine::connect(|| false).ok()?.failed_at(&service).ok()?;
    u64::try_from(failed.len()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_systemd_restarts_is_told_from_one_that_is_stopped() {
        let table = [
            ("SubState=auto-restart\nNRestarts=7\n", Some(7)),
            ("NRestarts=3\nSubState=running\n", Some(3)),
            ("SubState=dead\nNRestarts=7\n", None),
            ("SubState=auto-restart\n", None),
            ("", None),
        ];
        for (said, count) in table {
            assert_eq!(in_unit(said), count, "{said}");
        }
    }
}
