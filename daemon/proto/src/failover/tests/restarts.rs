//! Restarts of gateways, and what they send to each other then.

use super::*;

#[test]
fn a_restarted_gateway_serves_nothing_until_it_hears_the_client() {
    let mut site = Site::serving(1);
    let saved = site.at(1).saved();
    *site.at(1) = Standby::restored(rules(1), BootId(11), saved);
    assert_eq!(site.server(1), [0; 0]);

    let verdict = site.send(1, 1, 5000);
    site.wait(100);

    assert_eq!(verdict, Verdict::Relay(key(1), agent(1)));
    assert_eq!([1, 2, 3].map(|id| site.claim(id, 1)), [Some((2, 1)); 3]);
}

#[test]
fn a_gateway_that_lost_its_journal_gets_grants_flows_and_terms_from_its_peers() {
    let mut site = Site::serving(1);
    *site.at(1) = Standby::new(rules(1), BootId(11));
    site.wait(1500);

    let verdict = site.send(1, 1, 5000);
    site.wait(100);

    assert_eq!(verdict, Verdict::Relay(key(1), agent(1)));
    assert_eq!(site.claim(2, 1), Some((2, 1)));
}

#[test]
fn a_host_that_returns_takes_nothing_back() {
    let mut site = Site::serving(1);
    site.lost = vec![1];
    site.wait(1100);
    site.send(2, 1, 5000);
    site.lost.clear();
    for _ in 0..30 {
        site.send(2, 1, 5000);
        site.wait(100);
    }

    assert_eq!(site.server(1), [2]);
    assert_eq!(site.claim(1, 1), Some((2, 2)));
}

#[test]
fn a_peer_that_was_away_hears_of_ends() {
    let mut site = Site::serving(1);
    site.lost = vec![3];
    site.at(1).ended(key(1));
    site.wait(2000);
    assert!(site.at(3).view(key(1)).is_some());
    site.lost.clear();

    site.wait(1500);

    assert!(site.at(3).view(key(1)).is_none());
    assert_eq!(site.at(3).tombstones(), 1);
}

#[test]
fn a_snapshot_contains_ends_since_the_acknowledged_batch() {
    let mut site = Site::new();
    for number in [1, 2] {
        site.announce(number);
        site.at(1).ended(key(number));
        site.wait(100);
    }
    let sequence = site.at(1).latest_batch();
    let ends = |site: &mut Site, sequence| {
        site.wait(1000);
        let received = Some(Position { boot: BootId(1), sequence });
        let content = Content::Resync { number: 1, received };
        let now = site.now;
        site.at(1).receive(GatewayId(2), Frame { boot: BootId(2), sequence: 0, content }, now);
        let mut outputs = site.at(1).take_outputs().into_iter();
        outputs.find_map(|output| match output {
            Output::Send(_, Frame { content: Content::Snapshot { statements, .. }, .. }) => {
                Some(statements.len())
            }
            _ => None,
        })
    };

    assert_eq!(ends(&mut site, sequence), Some(0));
    assert_eq!(ends(&mut site, sequence - 1), Some(1));
    assert_eq!(ends(&mut site, 0), Some(2));
}
