//! The commands: each wires reading, checking, planning and performing, and decides nothing.

mod bans;
mod bundle;
mod checks;
mod completions;
mod configure;
mod create_bundle;
mod detach;
mod drain;
mod engine;
mod install;
mod man;
mod recover;
mod status;
mod uninstall;
mod update;
mod validate;

use std::io;

use cmsg_config::{Paths, cause};

use crate::{
    answers::{Answers, Origin, file, sources::Sources},
    apply::lock::{Busy, Lock},
    args::{
        Cli, Command, Unread,
        settings::{Layer, Setting},
    },
    exit::Exit,
    finding::Finding,
    installation::{installed::Installed, layout, record::Record},
    preflight,
    prompt::{self, Gone},
    report,
    screen::Screen,
    trusted::{self, Untrusted},
    wanted::Location,
};

pub(crate) fn run(cli: &Cli) -> Exit {
    let screen = Screen::new(&cli.global);
    let outcome = match &cli.command {
        Command::Install(install) => install::run(install, &cli.global, &screen),
        Command::Validate(validate) => validate::run(validate, &cli.global, &screen),
        Command::Configure(configure) => configure::run(configure, &cli.global, &screen),
        Command::Update(update) => update::update(update, &cli.global, &screen),
        Command::Rollback(rollback) => update::rollback(rollback, &cli.global, &screen),
        Command::CreateDarksiteBundle(bundle) => create_bundle::run(bundle, &cli.global, &screen),
        Command::Status(status) => status::run(status, &cli.global, &screen),
        Command::Uninstall(uninstall) => uninstall::run(uninstall, &cli.global, &screen),
        Command::Drain(drain) => drain::drain(drain, &cli.global, &screen),
        Command::Resume(resume) => drain::resume(&resume.flags, &cli.global, &screen),
        Command::Bans(bans) => bans::run(bans, &cli.global, &screen),
        Command::Completions { shell } => completions::run(*shell, &screen),
        Command::Man { to } => man::run(to, &screen),
        Command::Detach { as_account, started_by, command } => {
            detach::run(*as_account, *started_by, command)
        }
    };
    match outcome {
        Ok(exit) => exit,
        Err(Ended::Refused(findings)) => refuse(&screen, &findings),
        Err(Ended::Failed(error, hint)) => fail(&screen, &error, hint.as_deref()),
        Err(Ended::Interrupted) => {
            screen.note("interrupted; nothing is changed");
            Exit::Interrupted
        }
    }
}

/// Shows why there is no command to run: help, version or mistakes.
pub(crate) fn show_unread(unread: &Unread, wants_json: bool) -> Exit {
    let screen = Screen::of_unread(wants_json);
    let findings = match unread {
        Unread::Clap(error) if !error.use_stderr() => {
            screen.script(&error.render().to_string());
            return Exit::Done;
        }
        Unread::Clap(error) => vec![mistake(error)],
        Unread::Typos(findings) => findings.clone(),
    };
    if wants_json {
        screen.document(&report::refusal(&findings));
        return Exit::Usage;
    }
    match unread {
        Unread::Clap(error) => screen.usage(&error.render().to_string()),
        Unread::Typos(_) => findings.iter().for_each(|finding| screen.finding(finding)),
    }
    Exit::Usage
}

/// What clap says, as a finding: its first line.
fn mistake(error: &clap::Error) -> Finding {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    let what = line.strip_prefix("error: ").unwrap_or(line);
    Finding::error("usage.flag", what, "see `pcoip-cmsg-setup COMMAND --help`")
}

/// A command that ended before it had anything to report.
#[derive(Debug)]
enum Ended {
    /// The words or the checks refused it.
    Refused(Vec<Finding>),
    /// Something failed; with what to do about it.
    Failed(anyhow::Error, Option<String>),
    /// The person who was asked went away; nothing is changed.
    Interrupted,
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Interrupted
    }
}

impl From<prompt::Unanswered> for Ended {
    fn from(stopped: prompt::Unanswered) -> Self {
        match stopped {
            prompt::Unanswered::Gone => Self::Interrupted,
            prompt::Unanswered::Refused(findings) => Self::Refused(findings),
        }
    }
}

impl From<Vec<Finding>> for Ended {
    fn from(findings: Vec<Finding>) -> Self {
        Self::Refused(findings)
    }
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        match Untrusted::cause(&error) {
            Some(untrusted) => Self::Refused(vec![untrusted.finding()]),
            None => Self::Failed(error, None),
        }
    }
}

impl Ended {
    /// There is nothing installed where a command looked.
    fn nothing_installed(paths: &Paths) -> Self {
        let place = layout::place(paths.root());
        let error = anyhow::anyhow!("there is no installation {place}");
        Self::Failed(
            error,
            Some("specify its directory with `--root DIR`, or install first".to_owned()),
        )
    }
}

/// The installation that a command is about.
struct Target {
    paths: Paths,
    answers: Answers,
}

/// Finds it, with its saved answers.
fn find(sources: &Sources) -> Result<Target, Ended> {
    let paths = Location::read(&sources.resolve(&Layer::new()))?.paths();
    is_trusted(&paths)?;
    let saved = file::load_saved(&layout::answers(&paths)).map_err(|why| vec![why.into()])?;
    let answers = sources.resolve(&saved);
    Ok(Target { paths, answers })
}

/// Refuses an installation whose place another user can exchange.
fn is_trusted(paths: &Paths) -> Result<(), Ended> {
    trusted::check_folder(paths.root()).map_err(|why| vec![why.finding()].into())
}

/// Finds one that is to run.
fn find_installed(sources: &Sources) -> Result<(Target, Installed), Ended> {
    let found = find(sources)?;
    let installed = Installed::look(&found.paths)?;
    let said = found.answers.of(Setting::Runtime);
    let runtime = Record::of(&installed, &found.paths).runtime;
    let is_other =
        said.from != Origin::Default && Location::read(&found.answers)?.runtime != runtime;
    if !installed.is_there(&found.paths) {
        return Err(Ended::nothing_installed(&found.paths));
    }
    if is_other {
        return Err(vec![preflight::engine::named_otherwise(runtime)].into());
    }
    Ok((found, installed))
}

/// The right to change an installation.
fn lock(paths: &Paths) -> Result<Lock, Ended> {
    const CURE: &str = "wait until it has finished, then run the command again";
    Lock::take(paths.root()).map_err(|error| match error.downcast_ref::<Busy>() {
        Some(busy) => vec![Finding::error("installation.busy", busy.to_string(), CURE)].into(),
        None => error.into(),
    })
}

fn refuse(screen: &Screen, findings: &[Finding]) -> Exit {
    if screen.is_json {
        screen.document(&report::refusal(findings));
    }
    screen.findings(findings);
    let is_usage = findings.iter().any(Finding::is_usage);
    if !screen.is_json && (findings.len() > 1 || !is_usage) {
        screen.note(&report::refusal_line(findings));
    }
    if is_usage { Exit::Usage } else { Exit::Refused }
}

fn fail(screen: &Screen, error: &anyhow::Error, hint: Option<&str>) -> Exit {
    let hint = hint.or_else(|| right_hint(error)).or_else(|| room_hint(error));
    if screen.is_json {
        let finding =
            Finding::error("failed", cause::chain(error.as_ref()), hint.unwrap_or_default());
        screen.document(&report::failure(&finding));
    }
    screen.failure(error, hint);
    Exit::Failed
}

/// What to do where the rights are all that is missing.
fn right_hint(error: &anyhow::Error) -> Option<&'static str> {
    lacks_rights(error).then_some("run the command with `sudo`")
}

/// What to do where the disk is full.
fn room_hint(error: &anyhow::Error) -> Option<&'static str> {
    const FULL: [io::ErrorKind; 2] = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    let is_full = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|cause| FULL.contains(&cause.kind()))
    };
    error
        .chain()
        .any(is_full)
        .then_some("free some space on that file system and run the command again")
}

/// Whether somebody who is not root was denied something.
fn lacks_rights(error: &anyhow::Error) -> bool {
    let is_denied = |cause: &(dyn std::error::Error + 'static)| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
    };
    !nix::unistd::geteuid().is_root() && error.chain().any(is_denied)
}
