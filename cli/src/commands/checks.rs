//! What `install`, `configure` and `validate` do alike: read the words, look at the host, check everything.

use cmsg_config::Paths;

use super::{Ended, recover};
use crate::{
    answers::{Answers, Layer, file, secrets::Secrets, sources::Sources},
    args::{Global, Setup},
    finding::Finding,
    host::{
        Facts, daemon::DaemonFact, export::Export, installed::Installed, interrupted, lock::Lock,
        target::Target,
    },
    plan::layout,
    preflight,
    runtime::Runtime,
    system::Real,
    wanted::{Place, Wanted},
};

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
}

/// What a check is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looking {
    /// Whether the installation is about to be changed.
    pub(super) locks: bool,
    /// Whether the daemon may come too. Else one must be installed, and stays unless another is
    /// named.
    pub(super) takes_daemon: bool,
}

/// Checks it. Nothing is changed but for the lock, which makes its folder, and under the lock for
/// what a killed command left.
pub(super) fn check(
    setup: &Setup,
    global: &Global,
    looking: Looking,
    system: &mut Real,
) -> Result<Checked, Ended> {
    let sources = Sources::read(&setup.flags.0, global.answers.as_deref())?;
    let place = Place::read(&sources.resolve(&Layer::new()))?;
    let paths = place.paths();
    let is_left = interrupted::finding(&paths);
    if !looking.takes_daemon && is_left.is_none() {
        super::find_installed(&sources)?;
    }
    // Before the lock, which makes the root's folder.
    let mut export = setup.save_answers.as_deref().map(Export::look);
    let target = Target::look(&place);
    // Nobody changes an installation on the machine itself without its rights, nor one of Swarm.
    let may = place.root.is_some() || nix::unistd::geteuid().is_root();
    let is_here = is_left.is_some() || is_of_host(setup, &sources, &paths)?;
    let locks = looking.locks && may && is_here && target.is_usable();
    let lock = if locks { Some(super::lock(&paths)?) } else { None };
    let interrupted = match &lock {
        Some(_) => recover::recover(&paths, system)?,
        None => is_left,
    };
    if lock.is_some() && interrupted.is_some() {
        // Files that the checks have looked at may have been taken back.
        export = setup.save_answers.as_deref().map(Export::look);
        if !looking.takes_daemon {
            super::find_installed(&sources)?;
        }
    }
    let saved = if setup.defaults { Layer::new() } else { saved(&place)? };
    let mut answers = sources.resolve(&saved);
    let (wanted, mut findings) = Wanted::read(&answers, Place::read(&answers)?);
    if findings.iter().any(Finding::is_usage) {
        return Err(findings.into());
    }
    let secrets = take_secrets(&mut answers, &sources, &paths, &mut findings);
    findings.extend(preflight::of_settings(&answers));
    let installed = Installed::read(&paths, lock.as_ref()).unwrap_or_else(|why| {
        findings.push(preflight::unreadable_installation(&why));
        Installed::default()
    });
    let is_whole = !findings.iter().any(Finding::is_error);

    let mut facts = system
        .progress()
        .during("look at the host", || Facts::read(&wanted, target, installed, export));
    facts.given.extend(secrets.contents().map(|(name, content)| (name, Ok(content))));
    if !looking.takes_daemon && wanted.daemon.is_none() {
        facts.daemon = DaemonFact::Stays;
        facts.daemon_bytes = 0;
    }
    findings.extend(preflight::of_host(&wanted, &facts));
    if is_whole {
        findings.extend(preflight::of_plan(&wanted, &facts));
    }
    findings.splice(..0, interrupted);
    Ok(Checked { wanted, answers, saved, facts, findings, lock })
}

/// Whether the host is the runtime that is meant. What keeps the answers of the last installation
/// from being read is told when they are needed.
fn is_of_host(setup: &Setup, sources: &Sources, paths: &Paths) -> Result<bool, Ended> {
    let saved = match setup.defaults {
        true => Layer::new(),
        false => file::load_saved(&layout::answers(paths)).unwrap_or_default(),
    };
    Ok(Place::read(&sources.resolve(&saved))?.runtime == Runtime::Host)
}

/// The answers of the last installation.
fn saved(place: &Place) -> Result<Layer, Ended> {
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
