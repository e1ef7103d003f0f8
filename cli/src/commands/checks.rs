//! What `install`, `configure` and `validate` do alike: read the words, look at the host, check everything.

mod others;

use cmsg_config::Paths;

use super::{Ended, bundle, recover};
use crate::{
    adopt::{self, Adoption},
    answers::{Answers, file, secrets::Secrets, sources::Sources},
    apply::{interrupted, lock::Lock},
    args::{
        Global, Setup,
        settings::{self, Layer},
    },
    content::Content,
    finding::Finding,
    host::{
        Facts,
        broker::BrokerFact,
        bundle::Bundle,
        daemon::DaemonFact,
        edits::{self, Edit, Said},
        engine,
        export::Export,
        networks,
        target::Target,
    },
    installation::{
        installed::Installed,
        layout,
        previous::{BackTo, Previous},
        record::Record,
    },
    preflight,
    prompt::{Before, Terminal, Trust, ask_for_missing, how_to_trust},
    screen::Screen,
    system::Real,
    trusted::Untrusted,
    wanted::{Place, Wanted, later::UNSUPPORTED},
};

mod pin;

/// An installation that was checked.
pub(super) struct Checked {
    /// What is wanted; as far as it could be read, where the findings have errors.
    pub(super) wanted: Wanted,
    /// Who said so.
    pub(super) answers: Answers,
    /// What the last installation had answered.
    pub(super) saved: Layer,
    /// The host.
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

/// Checks it. Nothing is changed but for the lock, which makes its folder, and under the lock for
/// what a killed command left.
pub(super) fn check(
    setup: &Setup,
    global: &Global,
    looking: Looking<'_>,
    system: &mut Real,
) -> Result<Checked, Ended> {
    let mut sources = Sources::read(&setup.flags.0, global.answers.as_deref())?;
    let place = Place::read(&sources.resolve(&Layer::new()))?;
    let paths = place.paths();
    is_open(&place).map_err(|why| others::beside(why, &sources, &place, looking))?;
    let is_left = interrupted::finding(&paths);
    if looking.needs_installation && is_left.is_none() {
        super::find_installed(&sources)?;
    }
    // Words that cannot be read are nobody's turn at the installation.
    let there = if setup.defaults { Layer::new() } else { stored(&paths) };
    is_readable(&sources.resolve(&there), &place)?;
    let bundle = bundle::read(&sources.resolve(&there), looking.goes_back, system)?;
    // Before the lock, which makes the root's folder.
    let mut export = setup.save_answers.as_deref().map(Export::look);
    let target = Target::look(&place);
    let can = may_change(&place) && target.is_usable() && bundle::is_whole(bundle.as_ref());
    let locks = looking.locks && can;
    let lock = if locks { Some(super::lock(&paths)?) } else { None };
    let interrupted = match &lock {
        Some(_) => recover::recover(&paths, system)?,
        None => is_left,
    };
    if lock.is_some() && interrupted.is_some() {
        // Files that the checks have looked at may have been taken back.
        export = setup.save_answers.as_deref().map(Export::look);
        if looking.needs_installation {
            super::find_installed(&sources)?;
        }
    }
    // What is taken over is asked of the engine.
    if locks && looking.takes_daemon && Place::read(&sources.resolve(&there))?.is_swarm() {
        super::engine::start(global.yes, looking.asks, system)?;
    }
    let adoption = adopt::look(&sources.resolve(&Layer::new()), &place);
    sources.adopt(adoption.layer.clone());
    let back_to = if looking.goes_back { Some(back_to(&paths, lock.as_ref())?) } else { None };
    let starts_over = setup.defaults || adoption.adopted.is_some();
    let saved = if starts_over { Layer::new() } else { saved(back_to.as_ref(), &place)? };
    let edits = edited(&paths, back_to.as_ref(), (&mut sources, &saved), starts_over);
    // Nobody is asked for an installation that is refused whatever the answers are.
    let asks = looking.asks.filter(|_| can);
    if let Some(screen) = asks {
        let place = Place::read(&sources.resolve(&saved))?;
        is_supported(&sources.resolve(&saved), &place)?;
        let mut person = Terminal::new(screen, system);
        let around = (&saved, &place);
        ask_for_missing(&mut person, &mut sources, around, &networks::addresses())?;
    }
    let site =
        Site { place, target, export, interrupted, looking, back_to, adoption, bundle, edits };
    let checked = until_trusted((&mut sources, &saved), &site, lock.as_ref(), asks, system)?;
    Ok(Checked { lock, bundle: site.bundle, ..checked })
}

/// Nobody changes an installation on the machine itself without its rights.
fn may_change(place: &Place) -> bool {
    place.root.is_some() || nix::unistd::geteuid().is_root()
}

/// Refuses files that another user could have written, and users who may not read the installation:
/// every other finding would be wrong.
fn is_open(place: &Place) -> Result<(), Ended> {
    let paths = place.paths();
    super::is_trusted(&paths)?;
    match Installed::look(&paths) {
        Err(error)
            if Untrusted::cause(&error).is_some()
                || (place.root.is_none() && super::lacks_rights(&error)) =>
        {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// Checks the answers, and those that a person gives in their place.
fn until_trusted(
    (sources, saved): (&mut Sources, &Layer),
    site: &Site<'_>,
    lock: Option<&Lock>,
    asks: Option<&Screen>,
    system: &mut Real,
) -> Result<Checked, Ended> {
    let mut trust = Trust::Anew;
    loop {
        let checked = judge(sources, saved, site, lock, system)?;
        trust = trusted(&checked, asks, (sources, saved), trust, system)?;
        if trust == Trust::Pin {
            return Ok(checked);
        }
    }
}

/// What does not depend on the answers.
struct Site<'a> {
    place: Place,
    target: Target,
    export: Option<Export>,
    interrupted: Option<Finding>,
    looking: Looking<'a>,
    back_to: Option<BackTo>,
    adoption: Adoption,
    bundle: Option<Bundle>,
    edits: Vec<Edit>,
}

/// Checks one set of answers.
fn judge(
    sources: &Sources,
    saved: &Layer,
    site: &Site<'_>,
    lock: Option<&Lock>,
    system: &Real,
) -> Result<Checked, Ended> {
    let paths = site.place.paths();
    let mut answers = sources.resolve(saved);
    let (wanted, mut findings) = Wanted::read(&answers, Place::read(&answers)?);
    if findings.iter().any(Finding::is_usage) {
        return Err(findings.into());
    }
    let secrets = take_secrets(&mut answers, sources, &paths, &mut findings);
    findings.extend(site.adoption.findings.iter().cloned());
    findings.extend(sources.misspelt().iter().cloned());
    findings.extend(preflight::of_settings(&answers));
    let installed = Installed::read(&paths, lock.map(Lock::made)).unwrap_or_else(|why| {
        findings.push(preflight::unreadable_installation(&why));
        Installed::default()
    });
    let is_whole = !findings.iter().any(Finding::is_error);

    let (target, export) = (site.target.clone(), site.export.clone());
    let read = || Facts::read(&wanted, target, installed, export, site.back_to.clone());
    let mut facts = system.progress().during("look at the host", read);
    facts.edits.clone_from(&site.edits);
    facts.given.extend(secrets.contents().map(|(name, content)| (name, Ok(content))));
    if !site.looking.takes_daemon && wanted.daemon.is_none() {
        facts.daemon = DaemonFact::Stays;
        facts.daemon_bytes = 0;
    }
    if let Some(back) = &site.back_to {
        go_back(&mut facts, back, &paths);
    }
    adopt::settle(&mut facts, &site.adoption);
    if site.interrupted.is_some() && lock.is_none() {
        facts.settle_interrupted();
    }
    if let Some(bundle) = &site.bundle {
        bundle::take(&mut facts, bundle);
    }
    findings.extend(preflight::of_host(&wanted, &facts));
    if is_whole {
        findings.extend(preflight::of_plan(&wanted, &facts));
    }
    findings.splice(..0, site.interrupted.clone());
    facts.known = findings.iter().filter_map(Finding::of_host).collect();
    // `install` and `validate` report everything.
    if site.looking.needs_installation {
        let known = Record::of(&facts.installed, &paths).known;
        findings.retain(|finding| finding.of_host().is_none_or(|it| !known.contains(&it)));
    }
    let findings = in_full(findings, &wanted.place);
    let saved = saved.clone();
    Ok(Checked { wanted, answers, saved, facts, findings, lock: None, bundle: None })
}

/// Findings whose hints have commands that can be pasted. One about another runtime names its own.
fn in_full(findings: Vec<Finding>, place: &Place) -> Vec<Finding> {
    let words = layout::words(&place.paths(), place.runtime);
    let is_own = |finding: &Finding| finding.id == "runtime.other";
    let whole = |it: Finding| if is_own(&it) { it } else { it.in_full(&words) };
    findings.into_iter().map(whole).collect()
}

/// The answers of the last installation, as far as they can be read.
fn stored(paths: &Paths) -> Layer {
    file::load_saved(&layout::answers(paths)).unwrap_or_default()
}

/// Refuses what cannot be read before anybody is asked for the rest.
fn is_readable(answers: &Answers, place: &Place) -> Result<(), Ended> {
    let (wanted, mut findings) = Wanted::read(answers, place.clone());
    if findings.iter().any(Finding::is_usage) {
        pin::hint(&mut findings, &wanted, answers);
        return Err(findings.into());
    }
    Ok(())
}

/// The same for what this version does not support.
fn is_supported(answers: &Answers, place: &Place) -> Result<(), Ended> {
    is_readable(answers, place)?;
    let (_, findings) = Wanted::read(answers, place.clone());
    let refused = |finding: &Finding| finding.id == UNSUPPORTED && finding.is_error();
    let refused: Vec<_> = findings.into_iter().filter(refused).collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.into()) }
}

/// How the broker is trusted as far as the answers go. Where it would be pinned, a person is asked
/// before, and may answer something else, which is to be checked anew.
fn trusted(
    checked: &Checked,
    asks: Option<&Screen>,
    (sources, saved): (&mut Sources, &Layer),
    before: Trust,
    system: &mut Real,
) -> Result<Trust, Ended> {
    let Checked { wanted, facts, findings, .. } = checked;
    let (Some(screen), Some(manager), BrokerFact::Seen(seen)) =
        (asks, &wanted.connection_manager, &facts.broker)
    else {
        return Ok(Trust::Pin);
    };
    let is_refused = findings.iter().any(|it| it.is_error() && it.id != preflight::CHANGED);
    let known = findings.iter().find_map(|finding| match finding.id {
        preflight::PINNED => Some(Before::New),
        preflight::UNTRUSTED => Some(Before::Untrusted),
        preflight::CHANGED => Some(Before::Changed),
        _ => None,
    });
    let Some(known) = known.filter(|_| !is_refused) else { return Ok(Trust::Pin) };
    let mut person = Terminal::new(screen, system);
    let broker = (&*manager.broker.to_string(), seen, known);
    Ok(how_to_trust(&mut person, sources, (saved, &wanted.place), broker, before)?)
}

/// What the installation was before it was last changed.
fn back_to(paths: &Paths, lock: Option<&Lock>) -> Result<BackTo, Ended> {
    let installed = Installed::read(paths, lock.map(Lock::made))
        .map_err(|why| vec![preflight::unreadable_installation(&why)])?;
    let refuse = |what: String| {
        let cure = "install with the flags that you want";
        Ended::from(vec![Finding::error("installation.no-previous", what, cure)])
    };
    let Some(content) = installed.content(&layout::previous(paths)) else {
        return Err(refuse("there is no state to go back to: nothing was changed yet".to_owned()));
    };
    let previous = Previous::parse(content.bytes(), paths).map_err(|why| {
        refuse(format!(
            "the state before cannot be read: `{}`: {why}",
            layout::previous(paths).display()
        ))
    })?;
    let base = previous.over(&installed);
    Ok(BackTo { previous, base })
}

/// The answers of the installation that comes back.
fn read_former(base: &Installed, paths: &Paths) -> Result<Layer, Ended> {
    let text = base.content(&layout::answers(paths)).map(Content::text).unwrap_or_default();
    file::parse(&text).map_err(|why| {
        let cure = "install with the flags that you want";
        vec![Finding::error("installation.no-previous", format!("its answers: {why}"), cure)].into()
    })
}

/// What was edited by hand in the configurations that are changed; the sources take it as answers.
/// Where nothing saved counts, no edit does.
fn edited(
    paths: &Paths,
    back_to: Option<&BackTo>,
    (sources, saved): (&mut Sources, &Layer),
    starts_over: bool,
) -> Vec<Edit> {
    let there = if back_to.is_none() { Installed::look(paths).ok() } else { None };
    // What cannot be read is reported when it is judged.
    let Some(base) = back_to.map(|back| &back.base).or(there.as_ref()) else { return Vec::new() };
    let mut edits = Edit::all(base, paths);
    if !starts_over {
        let typed = |name: &str| sources.typed(name);
        let said = Said { typed: &typed, saved, goes_back: back_to.is_some() };
        Edit::decide(&mut edits, base, paths, &said);
    }
    sources.edit(edits::answers(&edits, saved));
    edits
}

/// The programs and passwords are those of then, too.
fn go_back(facts: &mut Facts, back: &BackTo, paths: &Paths) {
    for setting in settings::passwords() {
        if let Some(content) = back.base.content(&layout::secret(paths, setting.name)) {
            facts.given.insert(setting.name, Ok(content.clone()));
        }
    }
    if back.previous.has_daemon {
        let kept = layout::previous_daemon(paths);
        let is_there = back.base.has_previous_daemon;
        facts.daemon = if is_there { DaemonFact::Copy(kept) } else { DaemonFact::Missing(kept) };
    }
    let stack = back.base.content(&layout::stack(paths));
    if let (Some(stack), Some(deploying), Some(engine)) =
        (stack, &mut facts.deploying, facts.engine.facts())
    {
        deploying.images = engine::images_of(&stack.text(), engine);
    }
}

/// The answers that are started from.
fn saved(back_to: Option<&BackTo>, place: &Place) -> Result<Layer, Ended> {
    match back_to {
        None => read_saved(place),
        Some(back) => read_former(&back.base, &place.paths()),
    }
}

/// The answers of the last installation.
fn read_saved(place: &Place) -> Result<Layer, Ended> {
    let saved = file::load_saved(&layout::answers(&place.paths()));
    Ok(saved.map_err(|why| preflight::unreadable(place, why.into()))?)
}

/// Reads the passwords, and leaves references in the answers.
fn take_secrets(
    answers: &mut Answers,
    sources: &Sources,
    paths: &Paths,
    findings: &mut Vec<Finding>,
) -> Secrets {
    let (secrets, told) = Secrets::load(answers, sources.literals());
    answers.refer(paths);
    findings.extend(told);
    secrets
}
