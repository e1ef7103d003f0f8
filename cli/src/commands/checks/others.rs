//! What is wrong beside an installation that is refused for who could have written it.

use super::Looking;
use crate::{
    answers::sources::Sources,
    args::settings::Layer,
    commands::Ended,
    finding::Finding,
    host::{Facts, target::Target},
    installation::installed::Installed,
    preflight,
    wanted::{Location, Wanted},
};

/// Adds what is wrong whatever is installed, where an installation is refused for who could have
/// written it.
pub(super) fn beside(
    why: Ended,
    sources: &Sources,
    place: &Location,
    looking: Looking<'_>,
) -> Ended {
    /// Families of findings that do not depend on what was saved.
    const FAMILIES: [&str; 6] = ["certificate.", "docker.", "host.", "key.", "settings.", "swarm."];
    let Ended::Refused(mut findings) = why else { return why };
    if looking.needs_installation || !looking.takes_daemon {
        return Ended::Refused(findings);
    }
    let (wanted, found) = Wanted::read(&sources.resolve(&Layer::new()), place.clone());
    let facts = Facts::read(&wanted, Target::look(place), Installed::default(), None, None);
    let of_host = preflight::of_host(&wanted, &facts);
    let is_sure = |finding: &Finding| {
        // The saved answers may have it.
        let is_missing = finding.id == "settings.missing" || finding.id == "settings.policies";
        !is_missing && FAMILIES.iter().any(|family| finding.id.starts_with(family))
    };
    findings.extend(found.into_iter().chain(of_host).filter(is_sure));
    Ended::Refused(findings)
}
