//! `uninstall`: stops what runs and removes what was installed, never anything else.

use std::{collections::BTreeSet, path::Path, time::Duration};

use cmsg_config::Paths;
use cmsg_engine::NoEngine;
use nix::unistd;

use super::{Ended, recover};
use crate::{
    answers::sources::Sources,
    apply::{
        Work, apply, interrupted,
        lock::{self, Lock},
    },
    args::{Global, Uninstall},
    exit::Exit,
    finding::Finding,
    host::{
        engine::{self, EngineFact},
        machine::Machine,
    },
    installation::{
        account::NAME, contents::Contents, installed::Installed, layout, record::Record,
    },
    interrupt::Interrupt,
    plan::{self, Plan},
    preflight,
    progress::Progress,
    prompt::{self, Terminal},
    report::{Outcome, Report, plan_lines, removal::Removal},
    screen::Screen,
    step::StepError,
    system::{Real, System as _},
};

pub(super) fn run(uninstall: &Uninstall, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    let sources = Sources::read(&uninstall.flags.0, global.answers.as_deref())?;
    let found = super::find(&sources)?;
    if !is_there(&found.paths)? {
        return Err(Ended::nothing_installed(&found.paths));
    }
    let mut system = Real::new(Interrupt::watch()?, Progress::new(screen));
    let is_asked = !uninstall.dry_run && !global.yes;
    if is_asked && !prompt::is_possible(global) {
        return Err(vec![unconfirmed()].into());
    }
    // What an interrupted command left may keep it from being read until that is undone.
    show(planned(&found.paths, None, uninstall.purge, &mut system), &found.paths, screen)?;
    if is_asked && !is_confirmed(uninstall, &found.paths, (screen, &mut system))? {
        screen.note("Nothing was changed.");
        return Ok(Exit::Failed);
    }
    let mut lock = if uninstall.dry_run { None } else { Some(super::lock(&found.paths)?) };
    let interrupted = match &lock {
        Some(_) => recover::recover(&found.paths, &mut system)?,
        None => interrupted::finding(&found.paths),
    };
    screen.findings(interrupted.as_slice());
    let planned = planned(&found.paths, lock.as_ref(), uninstall.purge, &mut system);
    let Planned { installed, plan, .. } = planned?;
    if let (Some(lock), true) = (&mut lock, uninstall.purge) {
        let made = Record::of(&installed, &found.paths).folders;
        lock.goes_with(&[lock.made(), &made].concat())?;
    }
    let settings = found.answers.document();
    let findings = interrupted.into_iter().collect();
    let mut report = Report::planned(findings, plan, settings);
    if uninstall.dry_run {
        screen.data(&plan_lines(&report.plan));
        report.show_document(screen);
        return Ok(Exit::Done);
    }
    let exit = perform(&mut report, &found.paths, &mut system, screen);
    if exit == Exit::Done {
        screen.note(&format!("The installation {} is removed.", layout::place(found.paths.root())));
        let kept = kept(&found.paths, &installed, uninstall.purge);
        kept.iter().for_each(|it| screen.note(it));
    }
    report.show_document(screen);
    Ok(exit)
}

/// What is installed, and how it is removed.
struct Planned {
    installed: Installed,
    plan: Plan,
    purges: bool,
}

/// Plans the removal, unless the operator interrupts that.
fn planned(
    paths: &Paths,
    lock: Option<&Lock>,
    purges: bool,
    system: &mut Real,
) -> Result<Planned, Ended> {
    let planned = Planned::read(paths, lock, purges);
    if system.pause(Duration::ZERO) { Err(Ended::Interrupted) } else { planned }
}

/// Shows what is removed, as far as it can be read.
fn show(planned: Result<Planned, Ended>, paths: &Paths, screen: &Screen) -> Result<(), Ended> {
    match planned {
        Err(Ended::Interrupted) => return Err(Ended::Interrupted),
        Ok(planned) if !screen.is_json => {
            screen.laid_out(|width| planned.removal(paths).lines(width).join("\n"));
        }
        _ => {}
    }
    Ok(())
}

impl Planned {
    /// Plans the removal; under the lock, if that is held.
    fn read(paths: &Paths, lock: Option<&Lock>, purges: bool) -> Result<Self, Ended> {
        let installed = read(paths, lock, purges)?;
        let runtime = Record::of(&installed, paths).runtime;
        let engine = EngineFact::read(runtime);
        if installed.is_there(paths)
            && let Some(finding) = unreachable(&engine)
        {
            return Err(vec![finding].into());
        }
        let machine = Machine::read(unistd::geteuid().is_root(), paths);
        let plan = plan::uninstall(paths, &installed, &machine, engine.facts(), purges);
        Ok(Self { installed, plan, purges })
    }

    fn removal<'a>(&'a self, paths: &'a Paths) -> Removal<'a> {
        Removal { paths, installed: &self.installed, plan: &self.plan, purges: self.purges }
    }
}

fn read(paths: &Paths, lock: Option<&Lock>, purges: bool) -> anyhow::Result<Installed> {
    let contents = if purges { Contents::look(paths) } else { Contents::default() };
    Ok(Installed { contents, ..Installed::read(paths, lock.map(Lock::made))? })
}

/// How many files are named one by one.
const MOST: usize = 20;

/// What stays after a purge, and why.
fn left(paths: &Paths) -> Vec<String> {
    let Contents { own, foreign } = Contents::look(paths);
    let kept = |path: &Path, why: &str| format!("kept: `{}`, which {why}", path.display());
    let mut lines: Vec<_> =
        foreign.iter().take(MOST).map(|path| kept(path, "the installer did not create")).collect();
    if let Some(more @ 1..) = foreign.len().checked_sub(MOST) {
        lines.push(format!("kept: {more} more files and directories"));
    }
    // Of a folder that we did not make, the services' files stay as well.
    let with_files: BTreeSet<_> = own.iter().filter_map(|path| path.parent()).collect();
    let before = "existed before this installation";
    lines.extend(with_files.iter().map(|folder| kept(folder, before)));
    let is_named = |folder: &Path| own.iter().chain(&foreign).any(|path| path.starts_with(folder));
    let empty = [paths.base(), paths.logs()].into_iter().filter(|it| it.exists() && !is_named(it));
    lines.extend(empty.map(|folder| kept(&folder, before)));
    lines
}

/// What stays, and why.
fn kept(paths: &Paths, installed: &Installed, purges: bool) -> Vec<String> {
    let Record { runtime, account, folders, .. } = Record::of(installed, paths);
    if purges {
        let mut lines = left(paths);
        if account && installed.contents.has_foreign_in_any(&folders) {
            lines.push(format!(
                "kept: the account `{NAME}`, which owns directories of these files; `userdel {NAME}` \
                 removes it"
            ));
        }
        return lines;
    }
    let (base, logs) = (paths.base(), paths.logs());
    let words = layout::words(paths, runtime);
    let line = format!(
        "kept: configuration and keys in `{}`, logs in `{}`; `uninstall{words} --purge` removes them",
        base.display(),
        logs.display()
    );
    (!installed.files.is_empty()).then_some(line).into_iter().collect()
}

/// Without the engine and its swarm, what they run cannot be removed, and would come back with them.
fn unreachable(engine: &EngineFact) -> Option<Finding> {
    const GONE: &str = "start it (`systemctl start docker`) and run the command again; if Docker was \
                        removed for good, `rm -r /opt/teradici /var/log/Teradici` removes what is left";
    Some(match engine {
        EngineFact::NotAsked => return None,
        EngineFact::There(engine) => return preflight::engine::mute(&engine.swarm),
        EngineFact::None(why @ (NoEngine::Absent(_) | NoEngine::Silent(_))) => {
            Finding::error("docker.not-running", engine::description(why), GONE)
        }
        EngineFact::None(why) => preflight::engine::away(why),
        EngineFact::Silent(why) => preflight::engine::unreported(why),
    })
}

fn unconfirmed() -> Finding {
    Finding::error(
        "usage.confirmation",
        "removing the installation needs confirmation, but there is no terminal",
        "confirm it with `--yes`",
    )
}

fn is_confirmed(
    uninstall: &Uninstall,
    paths: &Paths,
    (screen, system): (&Screen, &mut Real),
) -> Result<bool, Ended> {
    let extent = if uninstall.purge { " with its configuration, keys and logs" } else { "" };
    let place = layout::place(paths.root());
    let question = format!("Remove the installation {place}{extent} (--yes)?");
    Ok(prompt::confirm(&mut Terminal::new(screen, system), &question)?)
}

fn perform(report: &mut Report, paths: &Paths, system: &mut Real, screen: &Screen) -> Exit {
    let steps = &report.plan.steps;
    let work = Work { command: "uninstall", paths, steps };
    let progress = system.progress();
    let broken = match apply(work, system, &progress) {
        Ok(left) => {
            report.done = steps.len();
            recover::tell_unfinished(paths, &left, report, screen);
            let is_gone = left.is_empty();
            report.outcome = if is_gone { Outcome::Done } else { Outcome::Failed };
            return if is_gone { Exit::Done } else { Exit::Failed };
        }
        Err(broken) => broken,
    };
    report.outcome = Outcome::Failed;
    let exit = match &broken.why {
        StepError::Interrupted => Exit::Interrupted,
        StepError::Failed(_) | StepError::NotLive(_) => Exit::Failed,
    };
    recover::tell_broken(paths, broken, report, screen);
    exit
}

/// Whether there is anything to remove, be it what a killed installer left.
fn is_there(paths: &Paths) -> anyhow::Result<bool> {
    if lock::is_left(paths.root()) {
        return Ok(true);
    }
    let seen = Installed::look(paths)?;
    Ok(seen.is_there(paths) || seen.files.contains_key(&layout::record(paths)))
}
