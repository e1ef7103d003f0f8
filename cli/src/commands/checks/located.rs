//! The first stage: which installation is meant, and whether it may be changed.

use cmsg_config::Paths;

use super::{Looking, Request, others, pin};
use crate::{
    answers::{Answers, file, sources::Sources},
    apply::interrupted,
    args::settings::Layer,
    commands::{self, Ended, bundle},
    finding::Finding,
    host::{bundle::Bundle, export::Export, target::Target},
    installation::{installed::Installed, layout},
    system::Real,
    trusted::Untrusted,
    wanted::{Location, Wanted},
};

/// An installation that was found. Its saved answers have only been looked at.
pub(super) struct Located<'a> {
    pub(super) request: Request<'a>,
    pub(super) sources: Sources,
    /// What was said beside the saved answers.
    pub(super) said: Answers,
    pub(super) place: Location,
    /// Whether Docker Swarm runs the services, or is to.
    pub(super) is_swarm: bool,
    /// What a killed command left.
    pub(super) left: Option<Finding>,
    pub(super) bundle: Option<Bundle>,
    pub(super) export: Option<Export>,
    pub(super) target: Target,
    /// Whether this user may change it and its bundle is whole.
    pub(super) can_change: bool,
}

impl<'a> Located<'a> {
    /// Finds it, and reads all words.
    ///
    /// # Errors
    ///
    /// Words that cannot be read, and an installation that cannot be trusted.
    pub(super) fn find(request: Request<'a>, system: &mut Real) -> Result<Self, Ended> {
        let Request { setup, global, looking } = request;
        let sources = Sources::read(&setup.flags.0, global.answers.as_deref())?;
        let said = sources.resolve(&Layer::new());
        let place = Location::read(&said)?;
        let paths = place.paths();
        is_open(&place).map_err(|why| others::beside(why, &sources, &place, looking))?;
        let left = interrupted::finding(&paths);
        if left.is_none() {
            must_be_there(looking, &sources)?;
        }
        // Words that cannot be read are refused before the lock is taken.
        let stored = if setup.defaults { Layer::new() } else { stored(&paths) };
        let answers = sources.resolve(&stored);
        is_readable(&answers, &place)?;
        let is_swarm = Location::read(&answers)?.is_swarm();
        let bundle = bundle::read(&answers, looking.goes_back, system)?;
        // Before the lock, which makes the root's folder.
        let target = Target::look(&place);
        let can_change =
            may_change(&place) && target.is_usable() && bundle::is_whole(bundle.as_ref());
        let export = request.export();
        Ok(Self {
            request,
            sources,
            said,
            place,
            is_swarm,
            left,
            bundle,
            export,
            target,
            can_change,
        })
    }
}

impl Request<'_> {
    /// Looks at the file that the answers are to be saved in.
    pub(super) fn export(&self) -> Option<Export> {
        self.setup.save_answers.as_deref().map(Export::look)
    }
}

/// Refuses where there is no installation, but has to be one.
pub(super) fn must_be_there(looking: Looking<'_>, sources: &Sources) -> Result<(), Ended> {
    if looking.needs_installation {
        commands::find_installed(sources)?;
    }
    Ok(())
}

/// Nobody changes an installation on the machine itself without its rights.
fn may_change(place: &Location) -> bool {
    place.root.is_some() || nix::unistd::geteuid().is_root()
}

/// Refuses files that another user could have written, and users who may not read the installation:
/// every other finding would be wrong.
fn is_open(place: &Location) -> Result<(), Ended> {
    let paths = place.paths();
    commands::is_trusted(&paths)?;
    match Installed::look(&paths) {
        Err(error)
            if Untrusted::cause(&error).is_some()
                || (place.root.is_none() && commands::lacks_rights(&error)) =>
        {
            Err(error.into())
        }
        _ => Ok(()),
    }
}

/// The answers of the last installation, as far as they can be read.
fn stored(paths: &Paths) -> Layer {
    file::load_saved(&layout::answers(paths)).unwrap_or_default()
}

/// Refuses what cannot be read before anybody is asked for the rest.
pub(super) fn is_readable(answers: &Answers, place: &Location) -> Result<(), Ended> {
    let (wanted, mut findings) = Wanted::read(answers, place.clone());
    if findings.iter().any(Finding::is_usage) {
        pin::hint(&mut findings, &wanted, answers);
        return Err(findings.into());
    }
    Ok(())
}
