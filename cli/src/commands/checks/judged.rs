//! The last stage: the host is read and everything is checked, once more where a person answers anew
//! how the broker is to be trusted.

use cmsg_config::Paths;

use super::{Checked, answered::Answered, locked::Locked};
use crate::{
    adopt,
    answers::{Answers, secrets::Secrets, sources::Sources},
    apply::lock::Lock,
    args::settings,
    commands::{Ended, bundle},
    finding::Finding,
    host::{Facts, broker::BrokerFact, daemon::DaemonFact, engine},
    installation::{installed::Installed, layout, previous::BackTo, record::Record},
    preflight,
    prompt::{Before, Terminal, Trust, how_to_trust},
    system::Real,
    wanted::{Location, Wanted},
};

impl Answered<'_> {
    /// Checks the answers, and those that a person gives in their place.
    ///
    /// # Errors
    ///
    /// Answers that cannot be read, and a person who leaves.
    pub(super) fn check(mut self, system: &mut Real) -> Result<Checked, Ended> {
        let mut trust = Trust::Anew;
        loop {
            let checked = self.judge(system)?;
            trust = self.trusted(&checked, trust, system)?;
            if trust == Trust::Pin {
                let Locked { located, lock, .. } = self.locked;
                return Ok(Checked { lock, bundle: located.bundle, ..checked });
            }
        }
    }

    /// Checks one set of answers.
    pub(super) fn judge(&self, system: &Real) -> Result<Checked, Ended> {
        let Self { locked: Locked { located, lock, interrupted }, adoption, saved, .. } = self;
        let paths = located.place.paths();
        let mut answers = located.sources.resolve(saved);
        let (wanted, mut findings) = Wanted::read(&answers, Location::read(&answers)?);
        if findings.iter().any(Finding::is_usage) {
            return Err(findings.into());
        }
        let secrets = take_secrets(&mut answers, &located.sources, &paths, &mut findings);
        findings.extend(adoption.findings.iter().cloned());
        findings.extend(located.sources.misspelt().iter().cloned());
        findings.extend(preflight::of_settings(&answers));
        let installed = Installed::read(&paths, lock.as_ref().map(Lock::made));
        let installed = installed.unwrap_or_else(|why| {
            findings.push(preflight::unreadable_installation(&why));
            Installed::default()
        });
        let is_whole = !findings.iter().any(Finding::is_error);

        let mut facts = self.look(&wanted, installed, &secrets, system);
        findings.extend(preflight::of_host(&wanted, &facts));
        if is_whole {
            findings.extend(preflight::of_plan(&wanted, &facts));
        }
        findings.splice(..0, interrupted.clone());
        facts.known = findings.iter().filter_map(Finding::of_host).collect();
        // `install` and `validate` report everything.
        if located.request.looking.needs_installation {
            let known = Record::of(&facts.installed, &paths).known;
            findings.retain(|finding| finding.of_host().is_none_or(|it| !known.contains(&it)));
        }
        let findings = in_full(findings, &wanted.place);
        let saved = saved.clone();
        Ok(Checked { wanted, answers, saved, facts, findings, lock: None, bundle: None })
    }

    /// Looks at the host, as it is for what is wanted.
    fn look(
        &self,
        wanted: &Wanted,
        installed: Installed,
        secrets: &Secrets,
        system: &Real,
    ) -> Facts {
        let Self { locked: Locked { located, lock, interrupted }, adoption, back_to, .. } = self;
        let (target, export) = (located.target.clone(), located.export.clone());
        let read = || Facts::read(wanted, target, installed, export, back_to.clone());
        let mut facts = system.progress().during("Checking the host", read);
        facts.edits.clone_from(&self.edits);
        facts.given.extend(secrets.contents().map(|(setting, content)| (setting, Ok(content))));
        if !located.request.looking.takes_daemon && wanted.daemon.is_none() {
            facts.daemon = DaemonFact::Stays;
            facts.daemon_bytes = 0;
        }
        if let Some(back) = back_to {
            go_back(&mut facts, back, &located.place.paths());
        }
        adopt::settle(&mut facts, adoption);
        if interrupted.is_some() && lock.is_none() {
            facts.settle_interrupted();
        }
        if let Some(bundle) = &located.bundle {
            bundle::take(&mut facts, bundle);
        }
        facts
    }

    /// How the broker is trusted as far as the answers go. Where it would be pinned, a person is asked
    /// before, and may answer something else, which is to be checked anew.
    fn trusted(
        &mut self,
        checked: &Checked,
        before: Trust,
        system: &mut Real,
    ) -> Result<Trust, Ended> {
        let Checked { wanted, facts, findings, .. } = checked;
        let (Some(screen), Some(manager), BrokerFact::Seen(seen)) =
            (self.asks, &wanted.connection_manager, &facts.broker)
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
        let sources = &mut self.locked.located.sources;
        let around = (&self.saved, &wanted.place);
        Ok(how_to_trust(&mut person, sources, around, broker, before)?)
    }
}

/// Findings whose hints have commands that can be pasted. One about another runtime names its own.
fn in_full(findings: Vec<Finding>, place: &Location) -> Vec<Finding> {
    let words = layout::words(&place.paths(), place.runtime);
    let is_own = |finding: &Finding| finding.id == "runtime.other";
    let whole = |it: Finding| if is_own(&it) { it } else { it.in_full(&words) };
    findings.into_iter().map(whole).collect()
}

/// The programs and passwords are those of then, too.
fn go_back(facts: &mut Facts, back: &BackTo, paths: &Paths) {
    for setting in settings::passwords() {
        if let Some(content) = back.base.content(&layout::secret(paths, setting)) {
            facts.given.insert(setting, Ok(content.clone()));
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

/// Reads the passwords, and leaves references in the answers.
fn take_secrets(
    answers: &mut Answers,
    sources: &Sources,
    paths: &Paths,
    findings: &mut Vec<Finding>,
) -> Secrets {
    let (secrets, found) = Secrets::load(answers, sources.literals());
    answers.refer(paths);
    findings.extend(found);
    secrets
}
