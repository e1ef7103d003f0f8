//! The connection broker and the trust in its certificate.

use cmsg_config::socket::Role;

use crate::{
    finding::Finding,
    host::{
        Facts,
        broker::{BrokerFact, Seen},
    },
    installation::installed::present,
    plan::configuration,
    wanted::Wanted,
};

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
    let manager = wanted.connection_manager.as_ref()?;
    match &facts.broker {
        BrokerFact::NotAsked => None,
        BrokerFact::Unreachable(why) => Some(Finding::warning(
            "broker.unreachable",
            format!("the connection broker {} does not answer: {why}", manager.broker),
            "check its name, its port and the firewalls on the way",
        )),
        BrokerFact::Seen(Seen { trouble: None, .. }) => None,
        BrokerFact::Seen(seen) => {
            let conf = present(facts.base(), &wanted.place.paths(), Role::Cm);
            let pins = conf.map_or_else(Vec::new, |conf| {
                configuration::pins(&conf, &manager.broker.to_string())
            });
            if pins.is_empty() {
                return Some(pinned(seen));
            }
            let is_known = pins.contains(&seen.key) || pins.contains(&seen.certificate);
            if is_known { None } else { Some(changed(seen)) }
        }
    }
}

/// The finding of a broker whose key is pinned for want of anything better.
pub(crate) const PINNED: &str = "broker.pinned";

fn pinned(seen: &Seen) -> Finding {
    Finding::warning(
        PINNED,
        format!(
            "the broker's certificate cannot be verified ({}), so its key is trusted as it is: {}, \
             for {}",
            seen.trouble.as_deref().unwrap_or_default(),
            seen.key,
            seen.names
        ),
        "compare the key with the broker's own, or give its authority with `--ca-cert FILE`",
    )
}

/// A changed key may be a new certificate, or somebody in between.
fn changed(seen: &Seen) -> Finding {
    Finding::error(
        "broker.key-changed",
        format!(
            "the broker shows another key than the one that is trusted: {}, for {}",
            seen.key, seen.names
        ),
        "if its certificate was replaced, remove the lines `BrokerCertPin` from \
         ConnectionManager.conf and install again",
    )
}
