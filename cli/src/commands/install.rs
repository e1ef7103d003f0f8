//! `install`: what is asked for, what is there, findings, plan, performance, outcome; and the same
//! for `configure`.

use cmsg_config::{
    Paths,
    socket::{DRAINING, NO_GATEWAY, Role},
};

use super::{
    Ended,
    checks::{self, Checked, Looking},
    recover,
};
use crate::{
    answers::{Answers, Origin, file},
    apply::{Work, apply},
    args::{Global, Install, Setup},
    exit::Exit,
    finding::Finding,
    host::Facts,
    installation::{installed::present, layout, record::Record},
    interrupt::Interrupt,
    plan::{self, Plan, configuration::Configuration},
    preflight::running,
    progress::Progress,
    prompt::{self, Terminal},
    report::{
        Outcome, Report, changes,
        ending::Ending,
        kept_lines, plan_lines,
        roles::RoleView,
        summary::{Planned, Summary},
    },
    screen::{Mark, Screen},
    step::{Step, StepError},
    system::{Real, System as _},
    wanted::Wanted,
};

pub(super) fn run(install: &Install, global: &Global, screen: &Screen) -> Result<Exit, Ended> {
    change(&install.setup, global, screen, Way { is_dry_run: install.dry_run, kind: Kind::Install })
}

/// How an installation is changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// Whether nothing is performed.
    pub(super) is_dry_run: bool,
    pub(super) kind: Kind,
}

/// To what an installation is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the flags, with this version; there need not be one.
    Install,
    /// To the flags; the programs stay.
    Configure,
    /// To this version, with the saved answers.
    Update,
    /// To what it was before it was last changed.
    Rollback,
}

impl Kind {
    fn command(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Configure => "configure",
            Self::Update => "update",
            Self::Rollback => "rollback",
        }
    }
}

/// Brings an installation to what is asked for.
pub(super) fn change(
    setup: &Setup,
    global: &Global,
    screen: &Screen,
    way: Way,
) -> Result<Exit, Ended> {
    let mut system = Real::new(Interrupt::watch()?, Progress::new(screen));
    let asks = prompt::is_possible(global).then_some(screen);
    let looking = Looking {
        locks: !way.is_dry_run,
        needs_installation: way.kind != Kind::Install,
        takes_daemon: matches!(way.kind, Kind::Install | Kind::Update),
        goes_back: way.kind == Kind::Rollback,
        asks,
    };
    let checked = checks::check(setup, global, looking, &mut system)?;
    let Checked { wanted, answers, saved, mut facts, findings, lock: _lock, bundle: _bundle } =
        checked;
    facts.command = way.kind.command();
    if findings.iter().any(Finding::is_error) {
        return Err(findings.into());
    }
    let paths = wanted.place.paths();
    screen.findings(&findings);
    let before = Answers::resolve(&[(Origin::Saved, &saved)]);

    let plan = plan::install(&wanted, &facts, &answers);
    let has_this_version = way.kind == Kind::Update && is_this_version(&facts, &paths, &plan);
    let settings = answers.document_since((way.kind == Kind::Configure).then_some(&before));
    let (arrow, is_verbose) = (screen.arrow(), screen.is_verbose || way.is_dry_run);
    let planned = Planned { wanted: &wanted, facts: &facts, plan: &plan, arrow, is_verbose };
    let summary = summary(way.kind, planned, &before, &answers);
    let mut report = Report::planned(findings, plan, settings);
    if is_over(&mut report, &summary, (way, &answers, has_this_version), screen) {
        return Ok(Exit::Done);
    }
    if !global.yes && asks.is_some() && !is_confirmed(&report.plan, screen, &mut system)? {
        return Err(anyhow::anyhow!("the plan was not confirmed; nothing is changed").into());
    }
    let exit = perform(&mut report, (way.kind.command(), &paths), &mut system, screen);
    if exit == Exit::Done {
        check_roles((&wanted, &paths, way.kind), &mut report, &mut system, screen);
        show_end((&wanted, &facts, way.kind), &report.plan, screen);
        repeat(&report.findings, screen);
    }
    report.show_document(screen);
    Ok(exit)
}

/// What an administrator may rely on in vain. It is easily overlooked above the steps.
const REPEATED: [&str; 4] =
    ["settings.unsupported", "settings.no-effect-yet", "settings.ignored", "broker.unverified"];

/// Repeats those warnings at the end.
fn repeat(findings: &[Finding], screen: &Screen) {
    let repeated = findings.iter().filter(|finding| REPEATED.contains(&finding.id));
    // A document has each of them once.
    repeated.filter(|_| !screen.is_json).for_each(|finding| screen.finding(finding));
}

/// The plan in a few lines, and what is kept or changes.
fn summary(kind: Kind, planned: Planned<'_>, before: &Answers, answers: &Answers) -> Summary {
    let Planned { wanted, facts, .. } = planned;
    let changes = |before: &Answers| changes(before, answers, pins(wanted, facts));
    match kind {
        Kind::Install => Summary::of_installation(planned, answers.kept().count()),
        Kind::Configure => Summary::of_settings(planned, &changes(before)),
        Kind::Update => Summary::of_version(planned, "Update the installation", &[]),
        Kind::Rollback => {
            let paths = wanted.place.paths();
            let present = file::load_saved(&layout::answers(&paths)).unwrap_or_default();
            let present = Answers::resolve(&[(Origin::Saved, &present)]);
            Summary::of_version(planned, "Undo the last change", &changes(&present))
        }
    }
}

/// Shows the plan. There is nothing to perform where that was asked for, or to update.
fn is_over(
    report: &mut Report,
    summary: &Summary,
    (way, answers, has_this_version): (Way, &Answers, bool),
    screen: &Screen,
) -> bool {
    if has_this_version && !way.is_dry_run {
        let version = env!("CARGO_PKG_VERSION");
        screen.note(&format!("version {version} is already installed; nothing to do"));
        report.outcome = Outcome::Done;
        report.plan.steps.clear();
    } else {
        show_plan(&report.plan, summary, (way, answers), screen);
        if !way.is_dry_run {
            return false;
        }
    }
    report.show_document(screen);
    true
}

/// Shows the plan: in a few lines, and step by step where nothing is performed.
fn show_plan(plan: &Plan, summary: &Summary, (way, answers): (Way, &Answers), screen: &Screen) {
    if screen.is_json {
        return;
    }
    let kept = || kept_lines(answers).join("\n") + "\n";
    if way.is_dry_run {
        screen.block(&format!("{}\n", summary.lines(screen.width())));
        if way.kind == Kind::Install && answers.kept().next().is_some() {
            screen.data(&kept());
        }
        screen.data(&plan_lines(plan));
    } else if is_idle(plan) {
        screen.note("nothing to change; the services are checked");
    } else {
        screen.laid_out(|width| format!("\n{}\n", summary.lines(width)));
        if way.kind == Kind::Install && answers.kept().next().is_some() {
            screen.detail(&kept());
        }
        screen.detail(&plan_lines(plan));
    }
}

/// The broker's pins before and after the change. They are in the configuration alone.
fn pins(wanted: &Wanted, facts: &Facts) -> [String; 2] {
    let paths = wanted.place.paths();
    let draft = Configuration::draft(wanted, facts);
    let before = present(&facts.installed, &paths, Role::Cm);
    [before.as_ref(), draft.of(Role::Cm)].map(|file| {
        let pins = file.into_iter().flat_map(|file| file.values("BrokerCertPin"));
        pins.map(|pin| pin.value).collect::<Vec<_>>().join(", ")
    })
}

/// Whether an update has nothing to do.
fn is_this_version(facts: &Facts, paths: &Paths, plan: &Plan) -> bool {
    let is_installed = Record::of(&facts.installed, paths).version == env!("CARGO_PKG_VERSION");
    is_installed && is_idle(plan)
}

fn is_idle(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| matches!(step, Step::AwaitLive { .. }))
}

/// Asks for a yes, where there is anything to do.
fn is_confirmed(plan: &Plan, screen: &Screen, system: &mut Real) -> Result<bool, Ended> {
    if is_idle(plan) {
        return Ok(true);
    }
    Ok(prompt::confirm(&mut Terminal::new(screen, system), "Perform this plan (--yes)?")?)
}

/// Performs the plan and puts down in the report how that went.
fn perform(
    report: &mut Report,
    (command, paths): (&str, &Paths),
    system: &mut Real,
    screen: &Screen,
) -> Exit {
    let Plan { steps, .. } = &report.plan;
    let progress = system.progress();
    let broken = match apply(Work { command, paths, steps }, system, &progress) {
        Ok(left) => {
            report.outcome = Outcome::Done;
            report.done = steps.len();
            recover::tell_unfinished(paths, &left, report, screen);
            return Exit::Done;
        }
        Err(broken) => broken,
    };
    let (exit, outcome) = match &broken.why {
        StepError::Failed(_) => (Exit::Failed, Outcome::Failed),
        StepError::NotLive(_) => (Exit::RolledBack, Outcome::RolledBack),
        StepError::Interrupted => (Exit::Interrupted, Outcome::Failed),
    };
    report.outcome = outcome;
    recover::tell_broken(paths, broken, report, screen);
    exit
}

/// Shows where everything is, and what to do next.
fn show_end((wanted, facts, kind): (&Wanted, &Facts, Kind), plan: &Plan, screen: &Screen) {
    if screen.is_json || (kind != Kind::Install && is_idle(plan)) {
        return;
    }
    let done = match kind {
        Kind::Install if is_idle(plan) => "Installed already",
        Kind::Install => "Installation complete",
        Kind::Configure => "Settings changed",
        Kind::Update => "Update complete",
        Kind::Rollback => "Rollback complete",
    };
    screen.note("");
    screen.mark(Mark::Done, done);
    let is_install = kind == Kind::Install;
    let ending = Ending { wanted, facts, is_install, is_verbose: screen.is_verbose };
    screen.block(&ending.lines(screen.width()));
}

/// Looks whether the roles are ready, and warns of those that are not.
fn check_roles(
    (wanted, paths, kind): (&Wanted, &Paths, Kind),
    report: &mut Report,
    system: &mut Real,
    screen: &Screen,
) {
    for role in wanted.roles() {
        let view = RoleView::settled(|| RoleView::ask(paths, role), |time| system.pause(time));
        if screen.is_verbose {
            screen.data(&view.lines());
        }
        if let Some(why) = view.why_not_ready() {
            let what = format!(
                "the {} is running, but not ready: {why}",
                role.command().replace('-', " ")
            );
            let words = layout::words(paths, wanted.place.runtime);
            let broker = view.broker().and_then(|seen| running::finding(seen, &words));
            let broker = broker.map(|finding| finding.cure);
            let cure = match why.contains(DRAINING) {
                true => format!("run `pcoip-cmsg-setup resume{words}` to accept new sessions"),
                false => not_ready_cure(kind, why, broker),
            };
            let finding = Finding::warning("role.not-ready", what, cure).in_full(&words);
            screen.findings(std::slice::from_ref(&finding));
            report.findings.push(finding);
        }
        report.roles.push(view);
    }
}

/// What to do about a role that is not ready.
fn not_ready_cure(kind: Kind, why: &str, broker: Option<String>) -> String {
    let is_changed = kind == Kind::Configure && broker.is_none();
    let mut cure = broker.unwrap_or_else(|| "run `status` to check again".to_owned());
    if why.contains(NO_GATEWAY) && why.contains(" certificate ") {
        cure += "; a gateway's own certificate is trusted by its fingerprint, `--external-sg-pin \
                 IP=sha256:…`, or by its authority, `--ca-cert FILE`";
    }
    // What a broker or its certificate does is no fault of the change.
    if is_changed {
        cure += ", or run `rollback` to undo the change";
    }
    cure
}
