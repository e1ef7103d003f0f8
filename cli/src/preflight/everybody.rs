//! Networks that everybody is in: to trust them is to trust everybody.

use cmsg_config::{socket::Role, values::Network};

use crate::{
    finding::Finding, host::Facts, installation::layout, plan::configuration::Configuration,
    wanted::Wanted,
};

/// Keys with what it means where everybody is trusted, and the flag that sets them.
const TRUSTING: [(Role, &str, &str, &str); 3] = [
    (
        Role::Cm,
        "TrustedProxies",
        "every client can claim any address with `X-Forwarded-For`",
        "list only the networks of your proxies with `configure --trusted-proxies IP/BITS`",
    ),
    (Role::Cm, "AllowedAgents", ANY_AGENT, NAME_AGENTS),
    (Role::Sg, "AllowedAgents", ANY_AGENT, NAME_AGENTS),
];
const ANY_AGENT: &str = "agents may have any address, loopback and link-local ones included";
const NAME_AGENTS: &str = "list only the networks of your agents with `configure --allowed-agents \
                           IP/BITS`";

/// Warns of `0.0.0.0/0` and `::/0`, by a flag or in a file.
pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let draft = Configuration::draft(wanted, facts);
    let paths = wanted.place.paths();
    let is_all =
        |text: &str| text.parse().is_ok_and(|network: Network| network.0.prefix_len() == 0);
    let warn = |(role, key, means, cure): &(Role, &str, &str, &str)| {
        let mut values = draft.of(*role)?.values(key);
        let all = values.find(|entry| is_all(entry.value))?.value;
        let file = layout::conf(&paths, *role);
        let what = format!("`{key} = {all}` in `{}`: {means}", file.display());
        Some(Finding::warning("settings.everybody", what, *cure))
    };
    TRUSTING.iter().filter_map(warn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::tests::wanted,
        preflight::tests::{BOTH, configured, configured_facts},
    };

    #[test]
    fn networks_of_everybody_are_a_warning() {
        let (wanted, _) = wanted(&format!("{BOTH}trusted-proxies: [10.0.0.0/8, '::/0']\n"));
        let mut facts = configured_facts(&wanted);
        configured(&mut facts, Role::Sg, "AllowedAgents = 0.0.0.0/0\n");

        let findings = check(&wanted, &facts);

        let everybody = findings.iter().filter(|finding| finding.id == "settings.everybody");
        let told: Vec<_> = everybody.map(|finding| finding.what.as_str()).collect();
        let data = "/r/opt/teradici/pcoipcm_data/data";
        assert_eq!(
            told,
            [
                format!(
                    "`TrustedProxies = ::/0` in `{data}/ConnectionManager.conf`: every client can claim \
                     any address with `X-Forwarded-For`"
                ),
                format!(
                    "`AllowedAgents = 0.0.0.0/0` in `{data}/SecurityGateway.conf`: agents may have any \
                     address, loopback and link-local ones included"
                ),
            ]
        );
    }
}
