//! Performs a plan: one step after the other, and all of them back when one does not succeed.

use std::time::Duration;

use crate::{
    step::{Step, Stopped},
    system::System,
};

/// What becomes of the steps before one that does not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// They are undone, last first.
    Undo,
    /// They stand: what is half removed cannot be brought back.
    Stand,
}

/// A plan that was not performed to its end.
#[derive(Debug)]
pub(crate) struct Broken {
    /// How many steps are done and not undone.
    pub(crate) done: usize,
    /// Why the next one is not.
    pub(crate) why: Stopped,
    /// What could not be undone.
    pub(crate) left: Vec<anyhow::Error>,
}

/// Performs the steps.
///
/// # Errors
///
/// Where a step does not succeed or the operator interrupts.
pub(crate) fn apply(
    steps: &[Step],
    on_failure: OnFailure,
    system: &mut dyn System,
    tell: &mut dyn FnMut(&Step),
) -> Result<(), Broken> {
    for (index, step) in steps.iter().enumerate() {
        let (begun, outcome) = if system.pause(Duration::ZERO) {
            (index, Err(Stopped::Interrupted))
        } else {
            tell(step);
            // A step that does not succeed may be done in part.
            (index + 1, step.perform(system))
        };
        let Err(why) = outcome else { continue };
        if on_failure == OnFailure::Stand {
            return Err(Broken { done: index, why, left: Vec::new() });
        }
        let begun = steps[..begun].iter().rev();
        let left = begun.filter_map(|step| step.undo(system).err()).collect();
        return Err(Broken { done: 0, why, left });
    }
    for step in steps {
        // The installation runs; a leftover of the old one is no reason to take it back.
        let _ = step.settle(system);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
