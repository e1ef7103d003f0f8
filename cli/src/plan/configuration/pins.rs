//! What is pinned for the broker. A key is pinned unasked only where the broker is new and nobody named
//! an authority that has to vouch for it.

use cmsg_config::{ConfFile, socket::Role, values::Pin};

use super::draft::Draft;
use crate::{
    adopt,
    host::{Facts, broker::BrokerFact, edits::AUTHORITIES},
    installation::{
        brokers::{BrokerTrust, Brokers},
        installed::present,
        record::Record,
    },
    wanted::{ConnectionManager, Wanted},
};

const PIN: &str = "BrokerCertPin";

/// The pins that hold for the broker after this change, and whether the last one is new and was not
/// given: the key of a broker that is met for the first time and cannot be verified.
pub(crate) fn broker_pins(
    manager: &ConnectionManager,
    wanted: &Wanted,
    facts: &Facts,
) -> (Vec<Pin>, bool) {
    if let Some(given) = &manager.broker_pins {
        return (given.clone(), false);
    }
    let paths = wanted.place.paths();
    let conf = present(facts.base(), &paths, Role::Cm);
    let trust = conf.as_ref().map(|it| BrokerTrust::read(it, &manager.broker, is_checked(facts)));
    let trust = trust.unwrap_or_default();
    let noted = Record::of(&facts.installed, &paths).brokers.pins_of(&manager.broker);
    let is_new = !trust.is_checked && noted.is_none();
    let pins = if trust.is_named { trust.pins } else { noted.unwrap_or_default() };
    match &facts.broker {
        BrokerFact::Seen(seen)
            if seen.trouble.is_some()
                && pins.is_empty()
                && is_new
                && !has_authority(conf, wanted, facts) =>
        {
            (vec![seen.key], true)
        }
        _ => (pins, false),
    }
}

/// A pin belongs to one broker: another broker's is removed, and stays in the installer's note. One
/// that cannot be parsed stays, so that the checks refuse it.
pub(super) fn set(
    draft: &mut Draft<'_>,
    manager: &ConnectionManager,
    wanted: &Wanted,
    facts: &Facts,
) {
    let (pins, _) = broker_pins(manager, wanted, facts);
    let mut pins: Vec<_> = pins.iter().map(ToString::to_string).collect();
    if manager.broker_pins.is_none() {
        let trust = draft.file.values(PIN).map(|entry| entry.value.to_owned());
        pins.extend(trust.filter(|pin| pin.parse::<Pin>().is_err()));
    }
    draft.file.set(PIN, pins);
}

/// The brokers that are known after this change.
pub(crate) fn known(wanted: &Wanted, facts: &Facts, drafted: Option<&ConfFile>) -> Brokers {
    let paths = wanted.place.paths();
    let mut brokers = Record::of(&facts.installed, &paths).brokers;
    if let Some(conf) = present(&facts.installed, &paths, Role::Cm) {
        brokers.learn(&conf, is_checked(facts));
    }
    if let Some(conf) = drafted {
        brokers.learn(conf, true);
    }
    brokers
}

/// Whether a configuration without `BrokerCertCheck` verifies the broker. The adopted product does not.
fn is_checked(facts: &Facts) -> bool {
    facts.adopted.is_none()
}

/// Whether an authority has to vouch for the broker: the one of `--ca-cert`, or one that the
/// administrator wrote into the file.
fn has_authority(conf: Option<ConfFile>, wanted: &Wanted, facts: &Facts) -> bool {
    let written = Record::of(facts.base(), &wanted.place.paths()).written;
    let ours = written.of(Role::Cm).of(AUTHORITIES);
    let conf = conf.map(|conf| adopt::configuration(conf, facts));
    let is_listed = conf.is_some_and(|conf| {
        conf.values(AUTHORITIES).any(|entry| !ours.iter().any(|path| path == entry.value))
    });
    wanted.ca_cert.is_some() || is_listed
}
