//! Performs a plan: one step after the other, and all of them back when one does not succeed. A
//! journal goes before every step, so that another process can do the same after this one was killed.

pub(crate) mod interrupted;
pub(crate) mod journal;
pub(crate) mod lock;

use std::time::Duration;

use anyhow::Context as _;
use cmsg_config::Paths;

use crate::{
    installation::layout::unfinished,
    progress::Progress,
    step::{Step, StepError, trace::Trace},
    system::System,
};
use journal::Journal;

/// A plan and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work<'a> {
    /// The command that has planned it.
    pub(crate) command: &'a str,
    pub(crate) paths: &'a Paths,
    pub(crate) steps: &'a [Step],
}

/// A plan that was not performed to its end.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Why the next step is not done.
    pub(crate) why: StepError,
    /// What could not be undone; its journal stays.
    pub(crate) left: Vec<Left>,
}

/// Something that could not be undone or finished.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) error: anyhow::Error,
    /// What an operator can do about it.
    pub(crate) by_hand: String,
    /// Whether it takes the Docker engine.
    pub(crate) needs_engine: bool,
}

/// Performs the steps, and returns what of the old could not be thrown away.
///
/// # Errors
///
/// Where a step does not succeed or the operator interrupts.
pub(crate) fn apply(
    work: Work<'_>,
    system: &mut dyn System,
    progress: &Progress,
) -> Result<Vec<Left>, Broken> {
    let mut journal = Journal::of(work.command, work.steps);
    let performed = perform(work, &mut journal, system, progress);
    match performed {
        Ok(()) => {
            let left = recover(&journal, work.paths, system);
            progress.end();
            Ok(left)
        }
        Err(why) => {
            let is_interrupted = matches!(why, StepError::Interrupted);
            progress.stop(if is_interrupted { "interrupted" } else { "failed" });
            let left = progress.undo(|| recover(&journal, work.paths, system));
            Err(Broken { why, left })
        }
    }
}

/// Undoes what was begun, last first; or, where all was performed, finishes it. The journal goes
/// when nothing is left to do.
pub(crate) fn recover(journal: &Journal, paths: &Paths, system: &mut dyn System) -> Vec<Left> {
    let mut left = Vec::new();
    if journal.is_settled {
        for trace in journal.traces() {
            let of = |error| left_of(trace, error, trace.finishing_by_hand());
            left.extend(trace.finish(system).err().map(of));
        }
    } else {
        for trace in journal.traces().rev() {
            let of = |error| left_of(trace, error, trace.undoing_by_hand());
            left.extend(trace.undo(paths, system).err().map(of));
        }
    }
    if left.is_empty() {
        let path = journal::path(paths);
        let removed = remove(paths, system);
        let by_hand = format!("remove `{}`", path.display());
        left.extend(removed.err().map(|error| Left { error, by_hand, needs_engine: false }));
    }
    left
}

fn left_of(trace: &Trace, error: anyhow::Error, by_hand: String) -> Left {
    Left { error, by_hand, needs_engine: matches!(trace, Trace::Engine(_)) }
}

/// Removes the journal, also one that a killed process was just writing.
///
/// # Errors
///
/// Where the host refuses.
pub(crate) fn remove(paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
    let path = journal::path(paths);
    system.delete(&unfinished(&path))?;
    system.delete(&path)
}

fn perform(
    work: Work<'_>,
    journal: &mut Journal,
    system: &mut dyn System,
    progress: &Progress,
) -> Result<(), StepError> {
    for (index, step) in work.steps.iter().enumerate() {
        if system.pause(Duration::ZERO) {
            return Err(StepError::Interrupted);
        }
        progress.step(&step.text());
        write_down(journal, journal.at(index + 1), work.paths, system)?;
        // A step that does not succeed may be done in part.
        step.perform(system)?;
    }
    // Once it is settled it is not undone any more.
    if system.pause(Duration::ZERO) {
        return Err(StepError::Interrupted);
    }
    Ok(write_down(journal, journal.settled(), work.paths, system)?)
}

/// Only what is written down has happened.
fn write_down(
    journal: &mut Journal,
    next: Journal,
    paths: &Paths,
    system: &mut dyn System,
) -> anyhow::Result<()> {
    system.write(&journal::path(paths), &next.render().context("failed to write the journal")?)?;
    *journal = next;
    Ok(())
}

#[cfg(test)]
mod tests;
