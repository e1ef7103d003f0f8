//! From what is wanted and what is there to findings; all of them, and nothing is changed for it.

mod agents;
mod broker;
mod bundle;
mod certificates;
mod compose;
mod configuration;
mod edited;
pub(crate) mod engine;
mod everybody;
mod export;
pub(crate) mod installed;
mod later;
mod machine;
pub(crate) mod network;
mod peers;
mod ports;
mod proxies;
pub(crate) mod running;
mod target;

use crate::{
    finding::Finding,
    host::Facts,
    trusted::Untrusted,
    wanted::{Location, Wanted},
};

pub(crate) use broker::{CHANGED, PINNED, UNTRUSTED, unverified};
pub(crate) use edited::of_status;
pub(crate) use later::of_settings;

/// Checks the host, also for an installation that was asked for wrongly.
pub(crate) fn of_host(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let mut findings = bundle::check(wanted, facts);
    findings.extend(engine::check(wanted, facts));
    findings.extend(compose::check(wanted, facts));
    findings.extend(machine::check(wanted, facts));
    findings.extend(network::check(wanted, facts));
    findings.extend(target::check(wanted, facts));
    findings.extend(ports::check(wanted, facts));
    findings.extend(certificates::check(wanted, facts));
    findings.extend(installed::check(wanted, facts));
    findings.extend(later::check(wanted, facts));
    findings.extend(broker::check(wanted, facts));
    findings.extend(peers::check(facts));
    findings.extend(export::check(facts));
    findings
}

/// Checks what would be written, for an installation that can be planned.
pub(crate) fn of_plan(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let mut findings = configuration::check(wanted, facts);
    findings.extend(edited::check(wanted, facts));
    findings.extend(everybody::check(wanted, facts));
    findings.extend(machine::limits(wanted, facts));
    findings.extend(agents::check(wanted, facts));
    findings.extend(proxies::check(wanted, facts));
    findings
}

/// What is told where not even the answers of the last installation can be read.
pub(crate) fn unreadable(place: &Location, why: Finding) -> Vec<Finding> {
    let rights = machine::rights(place, nix::unistd::geteuid().is_root());
    rights.into_iter().chain([why]).collect()
}

/// Tells that what is installed cannot be read.
pub(crate) fn unreadable_installation(why: &anyhow::Error) -> Finding {
    if let Some(untrusted) = Untrusted::cause(why) {
        return untrusted.finding();
    }
    const CURE: &str = "run the command as the user who installed, and check the file system";
    Finding::error("installation.unreadable", format!("{why:#}"), CURE)
}

#[cfg(test)]
mod page;
#[cfg(test)]
mod tests;
