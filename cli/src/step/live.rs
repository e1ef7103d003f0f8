//! Waits until the roles answer on their sockets.

use std::{fmt, time::Duration};

use cmsg_config::{Paths, cause, socket::Role};

use crate::{
    shown::one_line,
    system::{Awaited, System},
};

const EVERY: Duration = Duration::from_millis(100);
/// Roles that were told to end before still answer for a moment.
const STEADY: u32 = 5;
/// Half a minute in all.
const TIMES: u32 = 300;
/// So often the engine is asked for services that failed.
const ASKED: u32 = 10;
/// A service that failed so often since it was deployed will fail again.
const FAILURES: usize = 3;

/// How the daemon prints the error that it ends with, and what caused it.
const ERROR: &str = "error: ";
const CAUSE: &str = "caused by: ";
/// How the reason of a role begins that answers.
const WAS_READY: &str = "it was ready before";

/// Why not all roles are live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotLive {
    /// How the supervisor ended, if it did.
    pub(crate) ended: Option<String>,
    /// The roles that do not answer, and why not.
    pub(crate) roles: Vec<(Role, String)>,
    /// The last lines of what they logged.
    pub(crate) log: Vec<String>,
}

impl fmt::Display for NotLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = self.cause();
        if let Some(how) = &self.ended {
            return match cause.as_ref().or(self.log.last()) {
                Some(cause) => write!(f, "the services ended with {how}: {}", cause.trim()),
                None => write!(f, "the services ended with {how}"),
            };
        }
        for (index, (role, why)) in self.roles.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            // Of a role that answers its own reason is the cause.
            let cause = cause.as_ref().filter(|_| !why.starts_with(WAS_READY)).unwrap_or(why);
            write!(f, "{comma}the {} is not healthy: {cause}", role.command().replace('-', " "))?;
        }
        Ok(())
    }
}

impl NotLive {
    /// What a role printed last before it ended: its error with what caused that.
    fn cause(&self) -> Option<String> {
        let begin = self.log.iter().rposition(|line| line.starts_with(ERROR))?;
        let causes = self.log[begin + 1..].iter().map_while(|line| line.trim().strip_prefix(CAUSE));
        let error = self.log[begin].strip_prefix(ERROR)?;
        Some([error].into_iter().chain(causes).collect::<Vec<_>>().join(": "))
    }
}

impl std::error::Error for NotLive {}

/// Why waiting for the roles failed.
#[derive(Debug)]
pub(super) enum Missed {
    /// They do not answer.
    NotLive(NotLive),
    /// The operator interrupted it.
    Interrupted,
}

impl Awaited {
    /// Why it is not as awaited, if it is not.
    fn lacks(&self, paths: &Paths, system: &mut dyn System) -> Option<String> {
        let status = match system.status(paths, self.role) {
            Ok(status) => status,
            Err(error) => return Some(one_line(&cause::of_socket(&error))),
        };
        if self.deployment.is_some() && status.deployment != self.deployment {
            return Some("the previous one is still running".to_owned());
        }
        if self.was_ready && !status.ready {
            let why = status.reason.unwrap_or_else(|| "it reports no reason".to_owned());
            return Some(format!("{WAS_READY} and is no longer ready: {}", one_line(&why)));
        }
        None
    }
}

/// Waits for all of the roles, unless the operator interrupts.
///
/// # Errors
///
/// Where they do not answer in time or cannot any more.
pub(super) fn wait(
    paths: &Paths,
    roles: &[Awaited],
    system: &mut dyn System,
) -> Result<(), Missed> {
    let deployed: Vec<_> = roles.iter().filter(|awaited| awaited.deployment.is_some()).collect();
    let mut failures = Failures::before(deployed.iter().map(|awaited| awaited.role), system);
    for _ in 0..TIMES {
        if is_settled(paths, roles, system) {
            break;
        }
        let is_missing = |role, system: &mut dyn System| {
            deployed.iter().any(|it| it.role == role && it.lacks(paths, system).is_some())
        };
        if failures.are_hopeless(is_missing, system) {
            break;
        }
        if system.pause(EVERY) {
            return Err(Missed::Interrupted);
        }
    }
    judge(paths, roles, system).map_err(Missed::NotLive)
}

/// Starts the supervisor, unless it runs, and waits for all of the roles, whatever the operator
/// wants: they are being brought back.
///
/// # Errors
///
/// As above.
pub(super) fn wait_again(
    paths: &Paths,
    roles: &[Role],
    system: &mut dyn System,
) -> anyhow::Result<()> {
    // One that was told to end is still there for a while, and then no other one is.
    wait_while(paths, roles, system, |system| system.start(paths).map(|()| true))
}

/// Waits for all of the roles that somebody else brings back, whatever the operator wants.
///
/// # Errors
///
/// As above.
pub(super) fn wait_back(
    paths: &Paths,
    roles: &[Role],
    system: &mut dyn System,
) -> anyhow::Result<()> {
    let mut failures = Failures::before(roles.iter().copied(), system);
    let is_missing =
        |role, system: &mut dyn System| Awaited::from(role).lacks(paths, system).is_some();
    wait_while(paths, roles, system, |system| Ok(!failures.are_hopeless(is_missing, system)))
}

fn wait_while(
    paths: &Paths,
    roles: &[Role],
    system: &mut dyn System,
    mut goes_on: impl FnMut(&mut dyn System) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let roles: Vec<_> = roles.iter().copied().map(Awaited::from).collect();
    let mut in_a_row = 0;
    for _ in 0..TIMES {
        // A supervisor that has ended is no reason to give up: it may have met one that was ending.
        if are_live(paths, &roles, system) {
            in_a_row += 1;
            if in_a_row == STEADY {
                break;
            }
        } else {
            in_a_row = 0;
            if !goes_on(system)? {
                break;
            }
        }
        system.pause(EVERY);
    }
    Ok(judge(paths, &roles, system)?)
}

/// What the engine remembers of services that failed.
struct Failures {
    /// When each that is missing failed last before it was waited for with those alone. It may have
    /// done so when it was as now, or because another one had not yet left it its port.
    before: Vec<(Role, String)>,
    turn: u32,
}

impl Failures {
    fn before(roles: impl Iterator<Item = Role>, system: &mut dyn System) -> Self {
        Self { before: last_failures(roles, system), turn: 0 }
    }

    /// Whether all that are missing have failed again and again since. The engine is not asked every
    /// time.
    fn are_hopeless(
        &mut self,
        is_missing: impl Fn(Role, &mut dyn System) -> bool,
        system: &mut dyn System,
    ) -> bool {
        self.turn += 1;
        if !self.turn.is_multiple_of(ASKED) {
            return false;
        }
        let mut missing = self.before.clone();
        missing.retain(|(role, _)| is_missing(*role, system));
        if missing.len() < self.before.len() {
            self.before = last_failures(missing.into_iter().map(|(role, _)| role), system);
            return false;
        }
        !missing.is_empty()
            && missing.iter().all(|(role, before)| {
                let failed = system.failed_at(*role);
                failed.iter().filter(|when| *when > before).count() >= FAILURES
            })
    }
}

fn last_failures(
    roles: impl Iterator<Item = Role>,
    system: &mut dyn System,
) -> Vec<(Role, String)> {
    let last = |role| (role, system.failed_at(role).into_iter().next().unwrap_or_default());
    roles.map(last).collect()
}

fn is_settled(paths: &Paths, roles: &[Awaited], system: &mut dyn System) -> bool {
    are_live(paths, roles, system) || system.supervisor_ended().is_some()
}

fn are_live(paths: &Paths, roles: &[Awaited], system: &mut dyn System) -> bool {
    roles.iter().all(|role| role.lacks(paths, system).is_none())
}

fn judge(paths: &Paths, roles: &[Awaited], system: &mut dyn System) -> Result<(), NotLive> {
    let lacks = |awaited: &Awaited| Some((awaited.clone(), awaited.lacks(paths, system)?));
    let (down, missing): (Vec<_>, Vec<_>) = roles.iter().filter_map(lacks).unzip();
    if down.is_empty() {
        return Ok(());
    }
    let ended = system.supervisor_ended();
    let log = system.log_tail(paths, &down);
    let roles = down.iter().map(|awaited| awaited.role).zip(missing).collect();
    Err(NotLive { ended, roles, log })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    /// How long a service was waited for that is never live.
    fn waited(recorder: Recorder, deployment: Option<&str>) -> usize {
        let mut recorder = Recorder { is_dead: true, ..recorder };
        let deployment = deployment.map(str::to_owned);
        let awaited = Awaited { deployment, ..Awaited::from(Role::Cm) };

        let waited = wait(&Paths::under("/r"), &[awaited], &mut recorder);

        assert!(matches!(waited, Err(Missed::NotLive(_))), "{waited:?}");
        recorder.pauses
    }

    #[test]
    fn the_error_that_a_role_ended_with_is_the_headline() {
        let not_live = |ended: Option<&str>, why: &str, log: &[&str]| NotLive {
            ended: ended.map(str::to_owned),
            roles: vec![(Role::Sg, why.to_owned())],
            log: log.iter().map(ToString::to_string).collect(),
        };
        let silent = "its socket does not exist";
        let log = [
            "error: the first time",
            "WARN Ended, starting again",
            "error: creating log file `/x`",
            "  caused by: Not a directory (os error 20)",
            "WARN Ended, starting again",
        ];
        let ready = "it was ready before and is no longer ready: no gateway";
        let table = [
            (
                not_live(None, silent, &log),
                "the security gateway is not healthy: creating log file `/x`: Not a directory (os \
                 error 20)",
            ),
            (
                not_live(None, silent, &[]),
                "the security gateway is not healthy: its socket does not exist",
            ),
            (
                not_live(None, ready, &log),
                "the security gateway is not healthy: it was ready before and is no longer ready: \
                 no gateway",
            ),
            (
                not_live(Some("exit status: 3"), silent, &["cannot go on: broken on purpose"]),
                "the services ended with exit status: 3: cannot go on: broken on purpose",
            ),
        ];
        for (why, headline) in table {
            assert_eq!(why.to_string(), headline);
        }
    }

    #[test]
    fn a_service_that_fails_again_and_again_is_not_waited_for_to_the_end() {
        let fails = || Recorder { fails_every: Some(15), ..Recorder::default() };

        assert_eq!(waited(fails(), Some("new")), 49);
        // Where the engine does not run it, it has nothing to say of it.
        assert_eq!(waited(fails(), None), 300);
    }

    #[test]
    fn what_fails_while_another_one_is_on_its_way_is_given_its_time_again() {
        let mut recorder = Recorder { fails_every: Some(15), ..Recorder::default() };
        let mut failures = Failures::before([Role::Cm, Role::Sg].into_iter(), &mut recorder);
        // The gateway ends and leaves its port before the fiftieth turn.
        let given_up = (1..).find(|turn| {
            recorder.pauses = *turn;
            failures.are_hopeless(|role, _| role == Role::Cm || *turn < 50, &mut recorder)
        });

        assert_eq!(given_up, Some(90));
    }

    #[test]
    fn what_failed_before_says_nothing() {
        let failed_before = (0..5).rev().map(|number| format!("0:{number}")).collect();
        let before = Recorder { failed_before, ..Recorder::default() };

        assert_eq!(waited(before, Some("new")), 300);
    }
}
