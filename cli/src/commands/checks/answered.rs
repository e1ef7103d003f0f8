//! The third stage: every answer that does not come from the command line: of the installation that is
//! taken over or comes back, of the last one, of edits by hand, and of a person.

use cmsg_config::Paths;

use super::{located::is_readable, locked::Locked};
use crate::{
    adopt::{self, Adoption},
    answers::{Answers, file, sources::Sources},
    apply::lock::Lock,
    args::settings::Layer,
    commands::Ended,
    content::Content,
    finding::Finding,
    host::{
        edits::{self, Edit, Said},
        networks,
    },
    installation::{
        installed::Installed,
        layout,
        previous::{BackTo, Previous},
    },
    preflight,
    prompt::{Terminal, ask_for_missing, is_complete},
    screen::Screen,
    system::Real,
    wanted::{Location, Wanted, later::UNSUPPORTED},
};

/// An installation with all answers, apart from how a person trusts the broker.
pub(super) struct Answered<'a> {
    pub(super) locked: Locked<'a>,
    pub(super) adoption: Adoption,
    pub(super) back_to: Option<BackTo>,
    /// The answers that are started from.
    pub(super) saved: Layer,
    pub(super) edits: Vec<Edit>,
    /// Where a person is asked. Nobody is asked for an installation that is refused whatever the
    /// answers are.
    pub(super) asks: Option<&'a Screen>,
}

impl<'a> Answered<'a> {
    /// Settles them, and asks for those that are missing.
    ///
    /// # Errors
    ///
    /// Answers that cannot be read, and a person who leaves.
    pub(super) fn settle(mut locked: Locked<'a>, system: &mut Real) -> Result<Self, Ended> {
        let located = &mut locked.located;
        let looking = located.request.looking;
        let (place, sources) = (&located.place, &mut located.sources);
        let paths = place.paths();
        let adoption = adopt::look(&located.said, place);
        sources.adopt(adoption.layer.clone());
        let back_to = match looking.goes_back {
            true => Some(back_to(&paths, locked.lock.as_ref())?),
            false => None,
        };
        let starts_over = located.request.setup.defaults || adoption.adopted.is_some();
        let saved = if starts_over { Layer::new() } else { saved(back_to.as_ref(), place)? };
        let edits = edited(&paths, back_to.as_ref(), (sources, &saved), starts_over);
        let asks = looking.asks.filter(|_| located.can_change);
        let mut answered = Self { locked, adoption, back_to, saved, edits, asks };
        answered.ask(system)?;
        Ok(answered)
    }

    /// Asks for what is missing. What no answer can change is checked before the first question.
    fn ask(&mut self, system: &mut Real) -> Result<(), Ended> {
        let Some(screen) = self.asks else { return Ok(()) };
        let answers = self.locked.located.sources.resolve(&self.saved);
        let place = Location::read(&answers)?;
        is_supported(&answers, &place)?;
        if is_complete(&answers) {
            return Ok(());
        }
        let mut findings = self.judge(system)?.findings;
        findings.retain(|finding| finding.is_error() && no_answer_changes(finding));
        if !findings.is_empty() {
            return Err(findings.into());
        }
        let mut person = Terminal::new(screen, system);
        let (sources, around) = (&mut self.locked.located.sources, (&self.saved, &place));
        Ok(ask_for_missing(&mut person, sources, around, &networks::addresses())?)
    }
}

/// Whether a finding stays, whatever the missing settings are.
fn no_answer_changes(finding: &Finding) -> bool {
    /// Families of findings about the host. The others may be about files that are asked for.
    const FAMILIES: [&str; 12] = [
        "bundle.", "compose.", "daemon.", "docker.", "host.", "images.", "network.", "port.",
        "runtime.", "stack.", "swarm.", "target.",
    ];
    FAMILIES.iter().any(|family| finding.id.starts_with(family))
}

/// Refuses what cannot be read, or is not supported by this version, before anybody is asked.
fn is_supported(answers: &Answers, place: &Location) -> Result<(), Ended> {
    is_readable(answers, place)?;
    let (_, findings) = Wanted::read(answers, place.clone());
    let refused = |finding: &Finding| finding.id == UNSUPPORTED && finding.is_error();
    let refused: Vec<_> = findings.into_iter().filter(refused).collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.into()) }
}

/// What the installation was before it was last changed.
fn back_to(paths: &Paths, lock: Option<&Lock>) -> Result<BackTo, Ended> {
    let installed = Installed::read(paths, lock.map(Lock::made))
        .map_err(|why| vec![preflight::unreadable_installation(&why)])?;
    let refuse = |what: String| {
        let cure = "run `install` with the flags that you want";
        Ended::from(vec![Finding::error("installation.no-previous", what, cure)])
    };
    let Some(content) = installed.content(&layout::previous(paths)) else {
        return Err(refuse("there is no earlier state to restore".to_owned()));
    };
    let previous = Previous::parse(content.bytes(), paths).map_err(|why| {
        refuse(format!(
            "the earlier state cannot be read: `{}`: {why}",
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
        let cure = "run `install` with the flags that you want";
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
        let typed = |setting| sources.typed(setting);
        let said = Said { typed: &typed, saved, goes_back: back_to.is_some() };
        Edit::decide(&mut edits, base, paths, &said);
    }
    sources.edit(edits::answers(&edits, saved));
    edits
}

/// The answers that are started from.
fn saved(back_to: Option<&BackTo>, place: &Location) -> Result<Layer, Ended> {
    match back_to {
        None => read_saved(place),
        Some(back) => read_former(&back.base, &place.paths()),
    }
}

/// The answers of the last installation.
fn read_saved(place: &Location) -> Result<Layer, Ended> {
    let saved = file::load_saved(&layout::answers(&place.paths()));
    Ok(saved.map_err(|why| preflight::unreadable(place, why.into()))?)
}
