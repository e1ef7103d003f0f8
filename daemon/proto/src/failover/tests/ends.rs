//! Grants, and the ends of sessions.

use super::*;

fn later(number: u8, key_: u8, millis: u64) -> Grant {
    let issued = START + Duration::from_millis(millis);
    Grant { key: key(key_), issued, expires: issued + Grant::VALID, ..grant(number) }
}

#[test]
fn an_ended_session_covers_its_key_and_its_tag_for_earlier_issues() {
    let mut site = Site::serving(1);
    site.at(1).ended(key(1));
    site.wait(100);
    let now = site.now;
    let earlier = Grant { issued: START - Duration::from_secs(1), ..later(1, 8, 0) };
    let table = [
        (grant(1), Err(Refusal::Ended)),
        (later(1, 1, 5000), Err(Refusal::Ended)),
        (Grant { expires: earlier.issued + Grant::VALID, ..earlier }, Err(Refusal::Ended)),
        (later(1, 7, 0), Ok(())),
        (later(1, 9, 5000), Ok(())),
    ];

    for (grant, verdict) in table {
        for id in 1..=3 {
            assert_eq!(site.at(id).grant(grant.clone(), now), verdict, "{:?}", grant.key);
        }
    }
}

#[test]
fn a_later_grant_ends_the_earlier_session_everywhere() {
    let mut site = Site::serving(1);
    let now = site.now;

    for id in 1..=3 {
        site.at(id).grant(later(1, 9, 1000), now).unwrap();
    }
    site.perform(1);

    assert!(site.outputs.contains(&(1, Output::End(key(1)))));
    for id in 1..=3 {
        assert!(site.at(id).view(key(1)).is_none());
        assert!(site.at(id).grant(grant(1), now).is_err());
        assert_eq!(site.at(id).take_over(&[tag(1)], now).map(|grant| grant.key), Some(key(9)));
    }
}

#[test]
fn of_two_keys_in_one_second_the_announced_gateway_decides() {
    let mut site = Site::new();
    let now = site.now;
    let (first, second) = (grant(1), later(1, 9, 0));
    site.at(2).grant(second.clone(), now).unwrap();
    site.at(2).grant(first.clone(), now).unwrap();

    site.at(1).announced(first, now).unwrap();
    site.at(1).announced(second, now).unwrap();
    site.wait(100);

    for id in [1, 2] {
        assert!(site.at(id).view(key(1)).is_none(), "{id}");
        assert_eq!(site.claim(id, 9), Some((1, 1)));
    }
}

#[test]
fn another_agent_cannot_get_a_tag() {
    let mut site = Site::serving(1);
    let now = site.now;
    let other = Grant { agent: agent(2), ..later(1, 9, 1000) };

    assert_eq!(site.at(2).grant(other, now), Err(Refusal::Conflict));
}

#[test]
fn a_full_gateway_refuses_grants_but_no_takeover() {
    let mut site = Site::new();
    let now = site.now;
    for number in 1..=10 {
        site.at(2).grant(grant(number), now).unwrap();
    }
    assert_eq!(site.at(2).grant(grant(11), now), Err(Refusal::Full));

    assert!(site.at(2).take_over(&[tag(1)], now).is_some());

    assert_eq!(site.at(2).grant(grant(11), now), Ok(()));
}

#[test]
fn ended_sessions_take_room_until_they_expire() {
    let mut site = Site::new();
    for number in 1..=20 {
        let now = site.now;
        site.at(1).announced(grant(number), now).unwrap();
        site.at(1).ended(key(number));
    }
    let now = site.now;
    assert_eq!(site.at(1).grant(grant(21), now), Err(Refusal::Full));
    assert_eq!(site.at(1).tombstones(), 20);

    site.now = START + Grant::VALID + Duration::from_secs(1);
    let now = site.now;
    site.at(1).tick(now);

    assert_eq!(site.at(1).tombstones(), 0);
    assert_eq!(site.at(1).grant(grant(1), now), Err(Refusal::Expired));
    assert_eq!(site.at(1).grant(later(1, 1, 2_592_000_000), now), Ok(()));
}

#[test]
fn an_expired_grant_admits_no_client() {
    let mut site = Site::new();
    let now = site.now;
    site.at(2).grant(grant(1), now).unwrap();

    let now = START + Grant::VALID;
    assert_eq!(site.at(2).take_over(&[tag(1)], now), None);
    let long = Grant { expires: START + Grant::VALID * 2, ..grant(2) };
    assert_eq!(site.at(2).grant(long, START), Err(Refusal::Expired));
}

#[test]
fn a_grant_that_finds_room_later_is_followed_by_what_the_peers_report() {
    let mut site = Site::new();
    for number in 1..=10 {
        let now = site.now;
        site.at(2).grant(grant(number), now).unwrap();
    }
    let now = site.now;
    site.at(1).announced(grant(11), now).unwrap();
    site.wait(1000);
    assert!(site.at(2).view(key(11)).is_none());
    let now = site.now;
    site.at(2).take_over(&[tag(1)], now).unwrap();

    site.at(2).grant(grant(11), now).unwrap();
    site.wait(1000);

    assert_eq!(site.claim(2, 11), Some((1, 1)));
}

#[test]
fn a_late_grant_of_an_ended_session_is_removed() {
    let mut site = Site::new();
    let now = site.now;
    site.at(1).grant(grant(1), now).unwrap();
    site.at(1).take_over(&[tag(1)], now).unwrap();
    site.wait(100);
    site.at(1).ended(key(1));
    site.wait(100);

    let now = site.now;
    site.at(2).grant(grant(1), now).unwrap();
    site.wait(1000);

    assert!(site.at(2).view(key(1)).is_none());
    assert_eq!(site.at(2).grant(grant(1), now), Err(Refusal::Ended));
}
