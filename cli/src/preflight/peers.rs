//! Peers that do not answer, and clocks that do not agree. None of it refuses: a peer may come later.

use crate::{
    finding::Finding,
    host::{
        Facts,
        broker::BrokerFact,
        peers::{Kind, PeerFact},
    },
};

/// Announcements to gateways allow for no more.
const MOST_SKEW: u64 = 30;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    // The broker's certificate was looked at too, which tells already that it does not answer.
    let is_told = matches!(facts.broker, BrokerFact::Seen(_) | BrokerFact::Unreachable(_));
    let finding = |peer: &PeerFact| match &peer.answer {
        Err(_) if peer.kind == Kind::Broker && is_told => None,
        Err(why) => Some(silent(peer, why)),
        Ok(skew) => {
            skew.filter(|skew| skew.unsigned_abs() > MOST_SKEW).map(|skew| skewed(peer, skew))
        }
    };
    facts.peers.iter().filter_map(finding).collect()
}

fn silent(peer: &PeerFact, why: &str) -> Finding {
    let id = match peer.kind {
        Kind::Broker => "broker.unreachable",
        Kind::LicenseServer => "license-server.unreachable",
        Kind::Gateway => "gateway.unreachable",
        Kind::Resolver => "host.resolver",
        Kind::Registry => "registry.unreachable",
    };
    let cure = match peer.kind {
        Kind::Resolver => "check `/etc/resolv.conf` and any firewall in between",
        _ => "check its name, its port and any firewall in between",
    };
    Finding::warning(id, format!("{} does not answer: {why}", called(peer)), cure)
}

fn skewed(peer: &PeerFact, skew: i64) -> Finding {
    let side = if skew > 0 { "ahead of" } else { "behind" };
    let why = match peer.kind {
        Kind::Gateway => {
            format!("; it refuses sessions if the difference is more than {MOST_SKEW} seconds")
        }
        Kind::Broker => "; its certificate may be refused as expired or not valid yet".to_owned(),
        Kind::LicenseServer | Kind::Resolver | Kind::Registry => String::new(),
    };
    let (peer, seconds) = (called(peer), skew.unsigned_abs());
    Finding::warning(
        "clock.skew",
        format!("the clock of {peer} is {seconds} seconds {side} this host's{why}"),
        "synchronize the clocks of both hosts (`chronyc tracking`)",
    )
}

fn called(peer: &PeerFact) -> String {
    let kind = match peer.kind {
        Kind::Broker => "the connection broker",
        Kind::LicenseServer => "the license server",
        Kind::Gateway => "the gateway",
        Kind::Resolver => "the DNS server",
        Kind::Registry => "the registry",
    };
    format!("{kind} {}", peer.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{BOTH, facts, wanted};

    fn told(broker: BrokerFact, kind: Kind, answer: Result<Option<i64>, &str>) -> Vec<Finding> {
        let (wanted, _) = wanted(BOTH);
        let mut facts = facts(&wanted);
        facts.broker = broker;
        let answer = answer.map_err(str::to_owned);
        facts.peers = vec![PeerFact { kind, name: "p:1".to_owned(), answer }];
        check(&facts)
    }

    #[test]
    fn each_kind_of_peer_that_does_not_answer_is_told() {
        const WAY: &str = "check its name, its port and any firewall in between";
        let table = [
            (Kind::Broker, "broker.unreachable", "the connection broker p:1", WAY),
            (Kind::LicenseServer, "license-server.unreachable", "the license server p:1", WAY),
            (Kind::Gateway, "gateway.unreachable", "the gateway p:1", WAY),
            (Kind::Registry, "registry.unreachable", "the registry p:1", WAY),
            (
                Kind::Resolver,
                "host.resolver",
                "the DNS server p:1",
                "check `/etc/resolv.conf` and any firewall in between",
            ),
        ];
        for (kind, id, who, cure) in table {
            let expected = Finding::warning(id, format!("{who} does not answer: closed"), cure);
            assert_eq!(told(BrokerFact::NotAsked, kind, Err("closed")), [expected]);
            assert_eq!(told(BrokerFact::NotAsked, kind, Ok(None)), []);
        }
    }

    #[test]
    fn a_broker_that_does_not_answer_is_told_once() {
        let unreachable = BrokerFact::Unreachable("closed".to_owned());

        assert_eq!(told(unreachable, Kind::Broker, Err("closed")), []);
    }

    #[test]
    fn a_clock_that_is_more_than_30_seconds_off_is_told() {
        let table = [
            (30, None),
            (-30, None),
            (31, Some("is 31 seconds ahead of this host's")),
            (-31, Some("is 31 seconds behind this host's")),
            (i64::MIN, Some("is 9223372036854775808 seconds behind")),
        ];
        for (skew, part) in table {
            let told = told(BrokerFact::NotAsked, Kind::Gateway, Ok(Some(skew)));

            assert_eq!(told.len(), usize::from(part.is_some()), "{skew}");
            for (finding, part) in told.iter().zip(part) {
                assert!(finding.id == "clock.skew" && finding.what.contains(part), "{finding:?}");
                assert!(!finding.is_error());
            }
        }
    }
}
