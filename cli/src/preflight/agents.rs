//! The trust in agents' certificates and addresses.

use crate::{
    finding::Finding,
    host::Facts,
    installation::{
        installed::present,
        layout,
        record::{ALLOWED_AGENTS, Record},
    },
    wanted::Wanted,
};

/// What an administrator should know of them.
pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    not_verified(wanted, facts).into_iter().chain(addresses(wanted, facts)).collect()
}

/// Reports once, for an installation of a version that relayed to any address, where that may have
/// been needed.
fn addresses(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
    let record = Record::of(&facts.installed, &wanted.place.paths());
    let is_known = record.version.is_empty() || record.announced.contains(ALLOWED_AGENTS);
    if is_known || facts.back_to.is_some() || !wanted.allowed_agents.is_empty() {
        return None;
    }
    Some(Finding::warning(
        "agent.addresses",
        "sessions are now relayed to the address where the agent was reached; another address or \
         port in its `session-info` is ignored, and loopback, link-local and the gateway's own \
         addresses are refused",
        "if agents have such addresses, allow their networks with `configure --allowed-agents \
         IP/BITS`",
    ))
}

/// Tells once that agents are not verified: where a role has a configuration already, its
/// administrator has decided.
fn not_verified(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
    let paths = wanted.place.paths();
    let is_new = |role: &_| present(&facts.installed, &paths, *role).is_none();
    let files: Vec<_> = wanted
        .roles()
        .into_iter()
        .filter(is_new)
        .map(|role| format!("`{}`", layout::conf(&paths, role).display()))
        .collect();
    if files.is_empty() {
        return None;
    }
    Some(Finding::warning(
        "agent.not-verified",
        "the certificates of agents are not verified, because agents use self-signed ones by default",
        format!(
            "if an authority signs them, add its certificate with `--ca-cert FILE` and set \
             `AgentCertCheck = true` in {}",
            files.join(" and ")
        ),
    ))
}
