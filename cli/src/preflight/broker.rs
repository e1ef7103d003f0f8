//! The connection broker and the trust in its certificate.

use crate::{
    finding::Finding,
    host::{
        Facts,
        broker::{BrokerFact, Seen},
    },
    installation::layout,
    plan::configuration::broker_pins,
    wanted::{ConnectionManager, Wanted},
};

/// The finding of a broker whose key is pinned since it is met for the first time.
pub(crate) const PINNED: &str = "broker.pinned";
/// The finding of a broker with another key than the pinned one.
pub(crate) const CHANGED: &str = "broker.key-changed";
/// The finding of a broker that cannot be verified.
pub(crate) const UNTRUSTED: &str = "broker.untrusted";

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Option<Finding> {
    let manager = wanted.connection_manager.as_ref()?;
    let seen = match &facts.broker {
        BrokerFact::NotAsked | BrokerFact::Seen(Seen { trouble: None, .. }) => return None,
        BrokerFact::Unverified => return Some(unverified()),
        BrokerFact::Unreachable(why) => return Some(unreachable(manager, why)),
        BrokerFact::Seen(seen) => seen,
    };
    let paths = wanted.place.paths();
    let words = layout::words(&paths, wanted.place.runtime);
    match broker_pins(manager, wanted, facts) {
        (_, true) => Some(pinned(seen)),
        (pins, _) if pins.contains(&seen.key) || pins.contains(&seen.certificate) => None,
        (pins, _) if pins.is_empty() => Some(untrusted(seen, &words)),
        (pins, _) => Some(changed(seen, pins.len(), &words)),
    }
}

/// A broker whose certificate is not verified.
pub(crate) fn unverified() -> Finding {
    Finding::warning(
        "broker.unverified",
        "the broker's certificate is not verified (`--broker-cert-check=false`): passwords can be intercepted",
        "set `--broker-cert-check=true`, with `--ca-cert FILE` or `--broker-pin sha256:HEX` if no \
         public authority issued the certificate",
    )
}

fn unreachable(manager: &ConnectionManager, why: &str) -> Finding {
    Finding::warning(
        "broker.unreachable",
        format!("the connection broker {} does not answer: {why}", manager.broker),
        "check its name, its port and any firewall in between",
    )
}

fn pinned(seen: &Seen) -> Finding {
    Finding::warning(
        PINNED,
        format!(
            "the broker's certificate cannot be verified ({}), so its key is trusted without \
             verification: {}, issued for {}",
            seen.trouble.as_deref().unwrap_or_default(),
            seen.key,
            seen.names
        ),
        "compare the key with the broker's own, or add its authority with `--ca-cert FILE`",
    )
}

/// Nobody pins the key of a broker that was verified before: it may be an attacker's.
fn untrusted(seen: &Seen, words: &str) -> Finding {
    Finding::warning(
        UNTRUSTED,
        format!(
            "the broker's certificate cannot be verified ({}), so log-ons fail; certificate {}, \
             key {}, issued for {}",
            seen.trouble.as_deref().unwrap_or_default(),
            seen.certificate,
            seen.key,
            seen.names
        ),
        format!(
            "have the broker's certificate renewed, add its authority with `--ca-cert FILE`, or \
             compare the fingerprints with the broker's own and run `pcoip-cmsg-setup \
             configure{words} --broker-pin {}`",
            seen.key
        ),
    )
}

/// A changed key may be a new certificate, or an attacker's.
fn changed(seen: &Seen, pins: usize, words: &str) -> Finding {
    let pinned = if pins == 1 { "the pinned one" } else { "the pinned ones" };
    Finding::error(
        CHANGED,
        format!(
            "the broker presents a different certificate than {pinned}: certificate {}, key {}, \
             issued for {}",
            seen.certificate, seen.key, seen.names
        ),
        format!(
            "compare the fingerprints with the broker's own; if its certificate was replaced, run \
             `pcoip-cmsg-setup configure{words} --broker-pin {}`",
            seen.key
        ),
    )
}
