//! What a killed command left is taken back before the next one changes anything; and what could
//! not be taken back is told.

use cmsg_config::Paths;
use cmsg_engine::in_words;

use super::Ended;
use crate::{
    apply::{self, Broken, Left, interrupted},
    finding::Finding,
    host::engine,
    report::Report,
    screen::Screen,
    step::StepError,
    system::System,
    trusted::Untrusted,
};

/// Undoes or finishes it, if there is anything. Only the holder of the installer's lock may.
pub(super) fn recover(paths: &Paths, system: &mut dyn System) -> Result<Option<Finding>, Ended> {
    let found = interrupted::journal(paths).map_err(|error| match Untrusted::cause(&error) {
        Some(untrusted) => vec![untrusted.finding()].into(),
        None => Ended::Failed(error, Some(interrupted::BY_HAND.to_owned())),
    })?;
    let Some(journal) = found else {
        apply::remove(paths, system)?;
        return Ok(None);
    };
    let how = if journal.is_settled { "it is finished" } else { "what it left is undone" };
    let what = interrupted::told(&journal, false);
    let left = apply::recover(&journal, paths, system);
    if left.is_empty() {
        let cure = format!("nothing to do: {how}");
        return Ok(Some(Finding::warning("installation.interrupted", what, cure)));
    }
    let hint = hint(paths, &left);
    let mut causes: Vec<_> =
        left.into_iter().map(|left| format!("{:#}", in_words(left.error))).collect();
    causes.dedup();
    let error = anyhow::anyhow!(
        "{what}, and not all of its changes could be undone: {}",
        causes.join("; ")
    );
    Err(Ended::Failed(error, Some(hint)))
}

/// Tells why a plan was not performed, and what of it could not be undone.
pub(super) fn tell_broken(paths: &Paths, broken: Broken, report: &mut Report, screen: &Screen) {
    let id = match &broken.why {
        StepError::Failed(_) => "step.failed",
        StepError::NotLive(_) => "role.not-live",
        StepError::Interrupted => "interrupted",
    };
    let silent = match &broken.why {
        StepError::NotLive(why) => Some(why),
        // What was there before may not come to life either.
        _ => broken.left.iter().find_map(|left| left.error.downcast_ref()),
    };
    if let Some(why) = silent {
        why.log.iter().for_each(|line| screen.note(&format!("  | {line}")));
    }
    let first = first_hint(&broken);
    let again = hint(paths, &broken.left);
    let error = in_words(broken.why.into_error());
    screen.failure(&error, Some(&first));
    report.findings.push(Finding::error(id, format!("{error:#}"), first));
    // One hint is for all that is left.
    let last = broken.left.len().saturating_sub(1);
    for (index, left) in broken.left.into_iter().enumerate() {
        let error = in_words(left.error);
        screen.failure(&error, (index == last).then_some(&again));
        report.findings.push(Finding::error(
            "step.not-undone",
            format!("{error:#}"),
            again.clone(),
        ));
    }
}

/// What to do about the step that was not performed.
fn first_hint(broken: &Broken) -> String {
    let cure = broken.why.hint();
    match (cure, &broken.why) {
        (Some(cure), _) if !broken.left.is_empty() => {
            format!("{cure}; not all changes were undone")
        }
        _ if !broken.left.is_empty() => "not all changes were undone".to_owned(),
        (None, StepError::Interrupted) => "all changes were undone".to_owned(),
        (cure, _) => {
            let cure = cure.as_deref().unwrap_or("fix the cause");
            format!("all changes were undone; {cure} and run the command again")
        }
    }
}

/// Tells what was kept for undoing and could not be thrown away.
pub(super) fn tell_unfinished(paths: &Paths, left: &[Left], report: &mut Report, screen: &Screen) {
    for Left { error, .. } in left {
        let what = format!("the command succeeded, but cleaning up failed: {error:#}");
        let finding = Finding::warning("step.not-cleaned-up", what, hint(paths, left));
        screen.findings(std::slice::from_ref(&finding));
        report.findings.push(finding);
    }
}

/// What to do where something could not be taken back.
fn hint(paths: &Paths, left: &[Left]) -> String {
    let by_hand: Vec<_> = left.iter().map(|left| left.by_hand.as_str()).collect();
    let by_hand = by_hand.join(", ");
    let needs_engine = left.iter().any(|left| left.needs_engine);
    let fix = if needs_engine && engine::connect().is_err() {
        "start Docker (`systemctl enable --now docker`)"
    } else {
        "fix the cause"
    };
    format!(
        "{fix} and run the command again, which retries; or {by_hand} by hand, and then remove \
         `{}`",
        apply::journal::path(paths).display()
    )
}
