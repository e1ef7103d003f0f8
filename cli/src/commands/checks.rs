//! What `install`, `configure` and `validate` do alike, in four stages: find the installation, lock it,
//! settle the answers, check everything.

mod answered;
mod judged;
mod located;
mod locked;
mod others;
mod pin;

use std::time::Duration;

use super::Ended;
use crate::{
    answers::Answers,
    apply::lock::Lock,
    args::{Global, Setup, settings::Layer},
    finding::Finding,
    host::{Facts, bundle::Bundle},
    screen::Screen,
    system::{Real, System as _},
    wanted::Wanted,
};
use located::Located;

/// An installation that was checked.
pub(super) struct Checked {
    /// What is wanted; as far as it could be read, where the findings have errors.
    pub(super) wanted: Wanted,
    pub(super) answers: Answers,
    /// What the last installation had answered.
    pub(super) saved: Layer,
    pub(super) facts: Facts,
    /// All that is wrong or odd.
    pub(super) findings: Vec<Finding>,
    /// The right to change the installation, where it was asked for and could be had.
    pub(super) lock: Option<Lock>,
    /// What it is installed from, if not from this program's package.
    pub(super) bundle: Option<Bundle>,
}

/// What a check is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looking<'a> {
    /// Whether the installation is about to be changed.
    pub(super) locks: bool,
    /// Whether there must be an installation.
    pub(super) needs_installation: bool,
    /// Whether the daemon may come too. Else it stays unless another is named.
    pub(super) takes_daemon: bool,
    /// Whether it is to be as it was before the last change.
    pub(super) goes_back: bool,
    /// Where a person is asked for what is missing, if one is there.
    pub(super) asks: Option<&'a Screen>,
}

/// What a command asks of the stages.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    setup: &'a Setup,
    global: &'a Global,
    looking: Looking<'a>,
}

/// Checks it. Nothing is changed but for the lock, which makes its folder, and under the lock for
/// what a killed command left.
pub(super) fn check(
    setup: &Setup,
    global: &Global,
    looking: Looking<'_>,
    system: &mut Real,
) -> Result<Checked, Ended> {
    let request = Request { setup, global, looking };
    let checked = Located::find(request, system)
        .and_then(|located| located.lock(system)?.answer(system)?.check(system));
    // What was interrupted has findings that are not true.
    if system.pause(Duration::ZERO) { Err(Ended::Interrupted) } else { checked }
}
