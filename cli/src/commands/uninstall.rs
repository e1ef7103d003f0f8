//! `uninstall`: stops what runs and removes what was installed, never anything else.

use cmsg_config::Paths;

use super::{Ended, Exit};
use crate::{
    answers::sources::Sources,
    apply::{OnFailure, apply},
    args::{Global, Uninstall},
    finding::Finding,
    host::{installed::Installed, lock::Lock},
    interrupt::Interrupt,
    plan::{self, layout, record::Record},
    prompt,
    report::{Outcome, Report, plan_lines},
    screen::Screen,
    step::{Step, Stopped},
    system::Real,
};

/// Runs it.
pub(super) fn run(uninstall: &Uninstall, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let sources = Sources::read(&uninstall.flags.0, global.answers.as_deref())?;
    let found = super::find(&sources)?;
    let seen = Installed::look(&found.paths)?;
    let is_there = seen.has_daemon || seen.files.contains_key(&layout::record(&found.paths));
    if found.is_elsewhere || !is_there {
        return Err(Ended::nothing_installed(&found.paths));
    }
    if !uninstall.dry_run && !global.yes && !is_confirmed(uninstall, global, &found.paths)? {
        return Err(anyhow::anyhow!("the removal was not confirmed").into());
    }
    let interrupt = Interrupt::watch()?;
    let lock = if uninstall.dry_run { None } else { Some(Lock::take(found.paths.root())?) };
    let installed = Installed::read(&found.paths, lock.as_ref())?;
    let made = Record::of(&installed, &found.paths).folders;

    let plan = plan::uninstall(&found.paths, &installed, uninstall.purge);
    let settings = found.answers.document();
    let findings = Vec::new();
    let mut report = Report { outcome: Outcome::Planned, findings, plan, done: 0, settings };
    if uninstall.dry_run {
        screen.data(&plan_lines(&report.plan));
        report.show_document(screen);
        return Ok(Exit::Done);
    }
    let exit = perform(&mut report, interrupt, screen);
    match (exit, uninstall.purge, lock) {
        (Exit::Done, true, Some(lock)) => lock.release(made),
        (Exit::Done, false, _) => screen.note(&format!(
            "kept: configuration, keys and logs under `{}`; `uninstall --purge` removes them",
            found.paths.root().display()
        )),
        _ => {}
    }
    report.show_document(screen);
    Ok(exit)
}

fn is_confirmed(uninstall: &Uninstall, global: &Global, paths: &Paths) -> Result<bool, Ended> {
    if global.non_interactive || !prompt::is_possible() {
        let finding = Finding::error(
            "usage.confirmation",
            "nobody can be asked whether the installation may be removed",
            "confirm it with `--yes`",
        );
        return Err(vec![finding].into());
    }
    let extent = if uninstall.purge { " with its configuration, keys and logs" } else { "" };
    let root = paths.root().display();
    Ok(prompt::confirm(&format!("Remove the installation under {root}{extent}?"))?)
}

fn perform(report: &mut Report, interrupt: Interrupt, screen: &Screen) -> Exit {
    const AGAIN: &str = "mend the cause and run the command again";
    let mut system = Real::new(interrupt);
    let mut tell = |step: &Step| {
        screen.note(&format!("{} …", step.name()));
        screen.detail(&format!("  {}", step.changes()));
    };
    let steps = &report.plan.steps;
    let Err(broken) = apply(steps, OnFailure::Stand, &mut system, &mut tell) else {
        report.outcome = Outcome::Done;
        report.done = steps.len();
        return Exit::Done;
    };
    report.outcome = Outcome::Failed;
    report.done = broken.done;
    let (exit, id) = match &broken.why {
        Stopped::Interrupted => (Exit::Interrupted, "interrupted"),
        Stopped::Failed(_) | Stopped::NotLive(_) => (Exit::Failed, "step.failed"),
    };
    let error = broken.why.into_error();
    screen.failure(&error, Some(AGAIN));
    report.findings.push(Finding::error(id, format!("{error:#}"), AGAIN));
    exit
}
