use std::net::{IpAddr, Ipv6Addr};

use super::*;

const LIMITS: Limits = Limits { failures: 10, ban: Duration::from_secs(900) };

fn at(seconds: u64) -> Time {
    Time::from_millis(1_000_000 + seconds * 1000)
}

fn source(text: &str) -> Source {
    Source::of(text.parse().unwrap())
}

fn user(name: &str) -> User {
    User::new(name, None)
}

/// A log-on that is permitted and fails.
fn fail(logons: &mut Logons, from: Source, name: &str, now: Time) -> Verdict {
    logons.begin(from, &user(name), now).unwrap();
    logons.end(from, &user(name), Outcome::Failed, now)
}

fn is_permitted(logons: &mut Logons, from: Source, name: &str, now: Time) -> bool {
    let permitted = logons.begin(from, &user(name), now).is_ok();
    if permitted {
        logons.end(from, &user(name), Outcome::Undecided, now);
    }
    permitted
}

#[test]
fn a_pair_is_slowed_then_banned_and_neither_its_source_nor_its_user_alone_is() {
    let mut logons = Logons::new(LIMITS);
    let (office, home) = (source("192.0.2.1"), source("192.0.2.2"));

    let verdicts: Vec<_> = (0..10).map(|n| fail(&mut logons, office, "anna", at(n))).collect();

    let delays: Vec<_> = verdicts.iter().map(|verdict| verdict.delay.as_secs()).collect();
    assert_eq!(delays, [0, 0, 1, 2, 4, 4, 4, 4, 4, 4]);
    let bans: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.ban.clone()).collect();
    let (source, until) = (office, at(9 + 900));
    let ban = Ban { source, user: user("anna"), failures: 10, until, refused: 0 };
    assert_eq!(bans, [ban]);
    let refused = logons.begin(office, &user("ANNA"), at(19));
    assert_eq!(refused, Err(Banned { left: Duration::from_secs(890) }));
    assert!(is_permitted(&mut logons, office, "bert", at(19)), "not by source alone");
    assert!(is_permitted(&mut logons, home, "anna", at(19)), "not by name alone");
    assert!(is_permitted(&mut logons, office, "anna", until));
}

#[test]
fn only_failures_within_the_window_lead_to_a_ban() {
    let mut logons = Logons::new(LIMITS);
    let from = source("192.0.2.1");

    for n in 0..100 {
        let verdict = fail(&mut logons, from, "anna", at(n * 67));
        assert_eq!(verdict.ban, None, "nine within ten minutes");
    }
    assert_eq!(logons.recent_failures(at(99 * 67)), 9);

    assert!(fail(&mut logons, from, "anna", at(99 * 67 + 1)).ban.is_some());
}

#[test]
fn a_success_clears_the_pair() {
    let mut logons = Logons::new(LIMITS);
    let from = source("192.0.2.1");
    (0..9).for_each(|n| drop(fail(&mut logons, from, "anna", at(n))));

    logons.begin(from, &user("anna"), at(9)).unwrap();
    assert_eq!(logons.end(from, &user("anna"), Outcome::Succeeded, at(9)), Verdict::default());

    assert_eq!((logons.len, logons.recent_failures(at(9))), (0, 0));
    assert_eq!(fail(&mut logons, from, "anna", at(10)), Verdict::default());
}

#[test]
fn many_log_ons_at_once_do_not_exceed_the_limit() {
    let mut logons = Logons::new(LIMITS);
    let (from, anna) = (source("192.0.2.1"), user("anna"));
    fail(&mut logons, from, "anna", at(0));

    let permitted = (0..100).filter(|_| logons.begin(from, &anna, at(1)).is_ok()).count();
    assert_eq!(permitted, 9);
    assert_eq!(logons.begin(from, &anna, at(1)), Err(Banned { left: Duration::ZERO }));

    logons.end(from, &anna, Outcome::Undecided, at(2));
    assert!(is_permitted(&mut logons, from, "anna", at(2)));
    let bans = (0..8).filter_map(|_| logons.end(from, &anna, Outcome::Failed, at(2)).ban);
    assert_eq!(bans.count(), 0);
    assert!(fail(&mut logons, from, "anna", at(3)).ban.is_some());
}

#[test]
fn clients_with_a_common_name_log_on_at_the_same_time() {
    let (mut logons, from) = (Logons::new(LIMITS), source("192.0.2.1"));

    let begun = (0..300).filter(|_| logons.begin(from, &user("student"), at(0)).is_ok()).count();
    assert_eq!(begun, 256);
    for _ in 0..begun {
        logons.end(from, &user("student"), Outcome::Succeeded, at(1));
    }

    assert!(is_permitted(&mut logons, from, "student", at(1)));
}

#[test]
fn an_ipv6_source_is_a_network() {
    let mut logons = Logons::new(LIMITS);
    for n in 0..10 {
        fail(&mut logons, source(&format!("2001:db8::{n}")), "anna", at(n));
    }

    assert!(!is_permitted(&mut logons, source("2001:db8::ffff"), "anna", at(10)));
    assert!(is_permitted(&mut logons, source("2001:db8:0:1::1"), "anna", at(10)));
}

#[test]
fn expired_entries_are_forgotten_and_a_ban_reports_what_it_refused() {
    let mut logons = Logons::new(LIMITS);
    let from = source("192.0.2.1");
    (0..10).for_each(|_| drop(fail(&mut logons, from, "anna", at(0))));
    fail(&mut logons, from, "bert", at(0));
    (0..3).for_each(|_| assert!(logons.begin(from, &user("anna"), at(1)).is_err()));

    assert_eq!(logons.expire(at(899)), []);
    assert_eq!(logons.len, 1);
    let ended = logons.expire(at(900));

    let refused: Vec<_> = ended.iter().map(|ban| (ban.user.as_str(), ban.refused)).collect();
    assert_eq!(refused, [("anna", 3)]);
    assert_eq!((logons.len, logons.sizes.len(), logons.sources.len()), (0, 0, 0));
}

#[test]
fn a_ban_is_lifted_for_one_pair_or_for_all() {
    let mut logons = Logons::new(LIMITS);
    let from = source("192.0.2.1");
    for name in ["anna", "bert", "carl"] {
        (0..10).for_each(|_| drop(fail(&mut logons, from, name, at(0))));
    }
    let names = |bans: Vec<Ban>| {
        bans.into_iter().map(|ban| ban.user.as_str().to_owned()).collect::<Vec<_>>()
    };

    assert!(logons.lift(source("192.0.2.2"), &user("anna"), at(1)).is_none());
    let lifted = logons.lift(from, &user("Anna"), at(1));

    assert_eq!(names(lifted.into_iter().collect()), ["anna"]);
    assert!(is_permitted(&mut logons, from, "anna", at(1)));
    assert_eq!(names(logons.bans(at(1))), ["bert", "carl"]);
    assert_eq!(logons.banned_pairs(at(900)), 0, "they have ended");
    assert_eq!(names(logons.lift_all(at(1))), ["bert", "carl"]);
    assert_eq!(logons.len, 0);
}

#[test]
fn other_limits_apply_to_further_failures_and_zero_ends_all_bans() {
    let mut logons = Logons::new(LIMITS);
    let from = source("192.0.2.1");
    (0..5).for_each(|_| drop(fail(&mut logons, from, "anna", at(0))));

    logons.set_limits(Limits { failures: 6, ban: Duration::from_secs(60) });
    assert_eq!(fail(&mut logons, from, "anna", at(1)).ban.unwrap().until, at(61));
    logons.set_limits(Limits { failures: 0, ..LIMITS });

    for _ in 0..100 {
        assert_eq!(fail(&mut logons, from, "anna", at(2)), Verdict::default());
    }
    assert_eq!(logons.len, 0);
}

#[test]
fn invented_names_do_not_replace_the_count_of_a_name_that_is_attacked() {
    let mut logons = Logons::new(LIMITS);
    let from = source("192.0.2.1");
    (0..9).for_each(|_| drop(fail(&mut logons, from, "anna", at(0))));

    for n in 0..10_000 {
        fail(&mut logons, from, &format!("name {n}"), at(1));
    }

    assert_eq!(logons.len, Logons::MAX_PER_SOURCE);
    assert!(fail(&mut logons, from, "anna", at(2)).ban.is_some());
    for n in 0..10_000 {
        fail(&mut logons, from, &format!("other {n}"), at(3));
    }
    assert!(!is_permitted(&mut logons, from, "anna", at(4)), "the ban stays");
}

#[test]
fn sources_with_many_names_do_not_replace_those_of_others() {
    let mut logons = Logons::new(LIMITS);
    let office = source("192.0.2.1");
    (0..9).for_each(|_| drop(fail(&mut logons, office, "anna", at(0))));

    for network in 0..200 {
        let from = Source::of(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, 1)));
        for n in 0..Logons::MAX_PER_SOURCE {
            fail(&mut logons, from, &format!("name {n}"), at(1));
        }
    }

    assert_eq!(logons.len, Logons::MAX);
    let counted: usize = logons.sources.values().map(BTreeMap::len).sum();
    let sizes: BTreeSet<_> = logons.sources.iter().map(|(from, it)| (it.len(), *from)).collect();
    assert_eq!((counted, &sizes), (logons.len, &logons.sizes));
    assert!(fail(&mut logons, office, "anna", at(2)).ban.is_some());
}
