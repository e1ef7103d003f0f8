//! A `--broker-pin` that cannot be parsed: the hint has the key that the broker presents, which may be an
//! attacker's.

use cmsg_config::{ConfFile, socket::Role, values::Pin};
use time::OffsetDateTime;

use crate::{
    answers::Answers,
    args::settings::Setting,
    files,
    finding::Finding,
    host::broker::{self, BrokerFact, Seen},
    installation::{brokers::BrokerTrust, layout},
    wanted::{ConnectionManager, Wanted},
};

/// Adds the right form to the hint, and the key if the broker answers.
pub(super) fn hint(findings: &mut [Finding], wanted: &Wanted, answers: &Answers) {
    let is_wrong = |text: &String| text.parse::<Pin>().is_err();
    if !answers.of(Setting::BrokerPin).texts.iter().any(is_wrong) {
        return;
    }
    let mut cure = "write `--broker-pin sha256:HEX` with 64 hexadecimal digits".to_owned();
    if let Some(manager) = &wanted.connection_manager
        && let BrokerFact::Seen(seen) =
            broker::look(&manager.broker.0, &[], OffsetDateTime::now_utc())
    {
        cure += &presented(manager, &seen, &pinned(manager, wanted));
    }
    let are_about_it =
        |finding: &&mut Finding| finding.is_usage() && finding.what.contains("broker-pin`");
    findings.iter_mut().filter(are_about_it).for_each(|finding| finding.cure.clone_from(&cure));
}

/// The pins of the broker in the installed configuration.
fn pinned(manager: &ConnectionManager, wanted: &Wanted) -> Vec<Pin> {
    let conf = files::read(&layout::conf(&wanted.place.paths(), Role::Cm));
    let conf = conf.map(|content| ConfFile::parse(&content.text()));
    conf.map_or_else(|_| Vec::new(), |conf| BrokerTrust::read(&conf, &manager.broker, true).pins)
}

/// The key that a broker presents, with what has to be done before it is pinned.
fn presented(manager: &ConnectionManager, seen: &Seen, pinned: &[Pin]) -> String {
    let Seen { key, certificate, .. } = seen;
    let another = match pinned {
        [] => "",
        pins if pins.contains(key) || pins.contains(certificate) => "",
        _ => ", but another one is pinned: the connection may be intercepted",
    };
    format!(
        "; the broker {} presents the key {key}{another}; compare it with the broker's own key before you pin it",
        manager.broker
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pki::sha256,
        plan::tests::{BOTH, wanted},
    };

    #[test]
    fn a_presented_key_is_to_be_compared_and_not_called_the_pinned_one() {
        let (wanted, _) = wanted(BOTH);
        let manager = wanted.connection_manager.unwrap();
        let seen = Seen {
            key: sha256(b"key"),
            certificate: sha256(b"certificate"),
            names: String::new(),
            trouble: None,
        };
        let own = format!("; the broker https://b presents the key {}", sha256(b"key"));
        const COMPARE: &str = "; compare it with the broker's own key before you pin it";
        const ANOTHER: &str = ", but another one is pinned: the connection may be intercepted";
        let table = [
            (vec![], ""),
            (vec![sha256(b"key")], ""),
            (vec![sha256(b"certificate")], ""),
            (vec![sha256(b"other")], ANOTHER),
        ];
        for (pinned, another) in table {
            let text = presented(&manager, &seen, &pinned);

            assert_eq!(text, format!("{own}{another}{COMPARE}"));
        }
    }
}
