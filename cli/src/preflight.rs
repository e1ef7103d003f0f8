//! From what is wanted and what is there to findings; all of them, and nothing is changed for it.

mod agents;
mod broker;
mod certificates;
mod configuration;
mod export;
mod machine;
mod ports;

use crate::{
    finding::Finding,
    host::Facts,
    runtime::Runtime,
    wanted::{Place, Wanted},
};

/// Checks an installation that could be planned.
pub(crate) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let mut findings = machine::check(wanted, facts);
    findings.extend(ports::check(facts));
    findings.extend(certificates::check(wanted, facts));
    findings.extend(configuration::check(wanted, facts));
    findings.extend(broker::check(wanted, facts));
    findings.extend(export::check(facts));
    findings.extend(agents::check(wanted, facts));
    findings
}

/// Checks whether this version can install there at all.
pub(crate) fn place(place: &Place) -> Option<Finding> {
    const CURE: &str = "install with `--runtime=host --root DIR`";
    match (place.runtime, &place.root) {
        (Runtime::Swarm, _) => Some(Finding::error(
            "runtime.swarm",
            "this version cannot deploy to Docker Swarm, which is the default runtime",
            CURE,
        )),
        (Runtime::Host, None) => Some(Finding::error(
            "runtime.root-missing",
            "this version installs on the host only under another root",
            CURE,
        )),
        (Runtime::Host, Some(_)) => None,
    }
}

#[cfg(test)]
mod tests;
