//! The trust in agents' certificates.

use crate::{
    finding::Finding,
    host::Facts,
    plan::{configuration::present, layout},
    wanted::Wanted,
};

/// Tells once that agents are not verified: where a role has a configuration already, its
/// administrator has decided.
pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
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
        "the certificates of agents are not verified, since agents sign them themselves by default",
        format!(
            "where an authority signs them, give it with `--ca-cert FILE` and set \
             `AgentCertCheck = true` in {}",
            files.join(" and ")
        ),
    ))
}
