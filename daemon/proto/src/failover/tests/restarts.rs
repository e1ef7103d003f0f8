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

    assert_eq!(verdict, Verdict::Relay(key(1), spi(0xc0de_0001), agent(1)));
    assert_eq!([1, 2, 3].map(|id| site.claim(id, 1)), [Some((2, 1)); 3]);
}

#[test]
fn a_gateway_that_lost_its_journal_gets_grants_flows_and_terms_from_its_peers() {
    let mut site = Site::serving(1);
    *site.at(1) = Standby::new(rules(1), BootId(11));
    site.wait(1500);

    let verdict = site.send(1, 1, 5000);
    site.wait(100);

    assert_eq!(verdict, Verdict::Relay(key(1), spi(0xc0de_0001), agent(1)));
    assert_eq!(site.claim(2, 1), Some((2, 1)));
}

#[test]
fn a_host_that_returns_reclaims_no_session() {
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
    let sequence = site.latest[0];
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

#[test]
fn a_lost_batch_is_noticed_by_the_next_one() {
    let mut site = Site::new();
    let (now, first) = (site.now, site.latest[0] + 1);
    site.at(2).grant(grant(1), now).unwrap();
    let serving = Statement::Serving { key: key(1), term: Term(1), is_silent: true };

    let content = Content::Batch(vec![serving]);
    site.at(2).receive(GatewayId(1), frame(1, first + 1, content), now);

    assert_eq!(site.claim(2, 1), None);
    assert_eq!(requests(&mut site, 2), [GatewayId(1)]);
}

#[test]
fn a_batch_announced_by_a_heartbeat_is_requested() {
    let mut site = Site::new();
    let (now, first) = (site.now, site.latest[0] + 1);

    site.at(2).receive(GatewayId(1), frame(1, first, Content::Heartbeat(true)), now);

    assert_eq!(requests(&mut site, 2), [GatewayId(1)]);
}

#[test]
fn a_peer_that_returns_is_asked_for_everything() {
    let mut site = Site::new();
    site.lost = vec![3];
    site.wait(1500);
    let (now, latest) = (site.now, site.latest[2]);

    site.at(2).receive(GatewayId(3), frame(3, latest, Content::Heartbeat(true)), now);

    assert_eq!(requests(&mut site, 2), [GatewayId(3)]);
}

#[test]
fn a_snapshot_that_was_not_requested_is_ignored() {
    let mut site = Site::serving(1);
    let (now, latest) = (site.now, site.latest[0]);
    let ended = Statement::Ended { key: key(1), term: Term(1) };

    for number in 0..5 {
        let statements = vec![ended.clone()];
        let content = Content::Snapshot { to: BootId(2), number, statements };
        site.at(2).receive(GatewayId(1), frame(1, latest, content), now);
    }

    assert!(site.at(2).view(key(1)).is_some());
}

fn frame(boot: u64, sequence: u64, content: Content) -> Frame {
    Frame { boot: BootId(boot), sequence, content }
}

/// The peers from which a gateway requests a snapshot.
fn requests(site: &mut Site, id: u16) -> Vec<GatewayId> {
    let now = site.now + Duration::from_secs(1);
    site.at(id).tick(now);
    let request = |output| match output {
        Output::Send(Recipient::Peer(peer), frame) => {
            matches!(frame.content, Content::Resync { .. }).then_some(peer)
        }
        _ => None,
    };
    site.at(id).take_outputs().into_iter().filter_map(request).collect()
}

#[test]
fn a_file_of_records_has_the_state_of_the_last_one() {
    let mut site = Site::new();
    let mut file = site.at(2).saved().render();
    site.announce(1);
    site.announce(2);
    site.announce(3);
    site.at(1).ended(key(3));
    site.wait(100);
    site.lost = vec![1];
    site.wait(1100);
    site.send(2, 1, 5000);

    site.at(2).take_records().iter().for_each(|record| record.write(&mut file));

    let saved = site.at(2).saved();
    assert_eq!((saved.sessions.len(), saved.ended.len(), saved.positions.len()), (2, 1, 2));
    let read = |bytes: &[u8]| Saved::parse(bytes).unwrap();
    assert_eq!(read(&file), Loaded { journal: saved.clone(), damaged: 0, torn: 0 });
    assert_eq!(read(&saved.clone().render()), Loaded { journal: saved, damaged: 0, torn: 0 });
    assert_eq!(site.at(2).take_records(), []);
}

#[test]
fn a_damaged_or_foreign_file_of_records_is_noticed() {
    let mut site = Site::serving(1);
    let file = site.at(2).saved().render();
    let foreign = [b"pcoip-sg-standby 2\n", &file[19..]].concat();
    let mut damaged = file.clone();
    damaged[40] ^= 1;

    assert!(matches!(Saved::parse(&foreign), Err(Unreadable::Foreign(2, 1))));
    assert!(matches!(Saved::parse(&file[1..]), Err(Unreadable::Headless)));
    assert!(Saved::parse(&damaged).unwrap().damaged > 0);
    assert!(Saved::parse(&file[..file.len() - 1]).unwrap().torn > 0);
}

#[test]
fn a_restarted_gateway_ends_the_sessions_of_clients_that_left_meanwhile() {
    let mut site = Site::serving(1);
    site.announce(2);
    let saved = site.at(1).saved();
    *site.at(1) = Standby::restored(rules(1), BootId(11), saved);
    site.send(1, 1, 5000);
    site.lost = vec![3];
    site.wait(1100);
    let now = site.now;
    assert_eq!(site.at(1).end_unheard(now), [], "gateway 3 may serve it");
    site.lost.clear();
    site.wait(2000);

    let now = site.now;
    let ended = site.at(1).end_unheard(now);
    site.wait(100);

    assert_eq!(ended, [grant(2).id]);
    assert_eq!(site.server(1), [1]);
    assert!((1..=3).all(|id| site.at(id).view(key(2)).is_none()));
}

#[test]
fn a_snapshot_that_takes_longer_than_the_next_request_is_accepted() {
    let mut site = Site::serving(1);
    let now = site.now;
    *site.at(2) = Standby::new(rules(2), BootId(12));
    site.at(2).receive(GatewayId(1), frame(1, 9, Content::Heartbeat(true)), now);
    let mut requests = Vec::new();
    for tick in 0..5 {
        let now = now + Duration::from_millis(500 * tick);
        site.at(2).receive(GatewayId(1), frame(1, 9, Content::Heartbeat(true)), now);
        site.at(2).tick(now);
        for output in site.at(2).take_outputs() {
            if let Output::Send(_, Frame { content: Content::Resync { number, .. }, .. }) = output {
                requests.push((tick, number));
            }
        }
    }
    assert_eq!(requests, [(0, 1), (2, 2)], "the time doubles");
    let statements = vec![Statement::Grant(grant(1))];
    let content = Content::Snapshot { to: BootId(12), number: 1, statements };

    site.at(2).receive(GatewayId(1), frame(1, 9, content), now + Duration::from_millis(2400));

    assert!(site.at(2).view(key(1)).is_some());
}

#[test]
fn a_long_frame_renews_a_valid_lease_only() {
    let mut site = Site::serving(1);
    site.lost = vec![1];
    site.wait(900);
    let now = site.now;
    site.at(2).arriving(GatewayId(1), now);

    site.wait(900);
    let is_reachable = |site: &mut Site| {
        let now = site.now;
        site.at(2).reachable(now).any(|id| id == GatewayId(1))
    };
    assert!(is_reachable(&mut site));
    site.wait(200);
    assert!(!is_reachable(&mut site));
    let now = site.now;
    site.at(2).arriving(GatewayId(1), now);

    // The lease has expired: what it reported may be obsolete until it has sent a snapshot.
    assert!(!is_reachable(&mut site));
}
