//! What survives a restart, and for how long.

use super::*;
use crate::journal::Unreadable;

/// Restarts the gateway: only the journal survives.
pub(super) fn restart(world: &mut World) {
    let rules = world.admission.rules;
    let journal = read(&world.admission.journal().render());
    // If there are more sessions than places, the others would not be restored.
    let places = rules.max_connections.max(u32::try_from(journal.count()).unwrap());
    restore_with(world, journal, Rules { max_connections: places, ..rules });
    world.admission.set_rules(rules);
    assert_eq!(world.admission.journal().count(), world.admission.count());
}

fn restore(world: &mut World, journal: Journal, max_connections: u32) {
    restore_with(world, journal, Rules { max_connections, timeouts: TIMEOUTS });
}

fn restore_with(world: &mut World, journal: Journal, rules: Rules) {
    world.admission = Admission::new(rules);
    world.admission.restore(journal, world.now);
    world.routes = Routes::default();
    world.seen.clear();
}

/// The state in a file without damage.
pub(super) fn read(file: &[u8]) -> Journal {
    let loaded = Journal::parse(file).unwrap();
    assert_eq!((loaded.damaged, loaded.torn), (0, 0));
    loaded.journal
}

/// The state as a file of version 1.
fn text(world: &World) -> String {
    world.admission.journal().former()
}

#[test]
fn a_journal_of_version_1_is_read() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    world.connect(2, "192.0.2.1");
    let gone = world.connect(3, "2001:db8::1");
    world.close(gone);
    let entry = |number: u32, client: &str, standing: &str| {
        let (id, tag) = (id(number), String::from(tag(number)));
        format!(
            "{{\"id\":\"{id}\",\"agent\":\"10.0.0.{number}:4172\",\"tag\":\"{tag}\",\
             \"issued\":1800000000000,\"client\":{client},\"standing\":{standing}}}"
        )
    };

    let expected = [
        "{\"version\":1,\"sessions\":[".to_owned(),
        entry(1, "null", "{\"announced\":{\"until\":1800000240000}}") + ",",
        entry(2, "\"192.0.2.1\"", "\"in-use\"") + ",",
        entry(3, "\"2001:db8::1\"", "{\"waiting\":{\"since\":1800000000000}}"),
        "],\"ended\":[]}".to_owned(),
    ];

    let written = world.admission.journal();
    assert_eq!(read(expected.concat().as_bytes()), written);
    assert_eq!(written.former(), expected.concat());
    assert!(String::from(tag(1)).starts_with("8:"));
}

#[test]
fn sessions_with_the_same_log_id_are_restored_by_their_keys() {
    let mut world = World::new(10);
    let keyed = |world: &World, number: u8| Announcement {
        id: id(1),
        key: Some(SessionKey::from_random([number; 16])),
        ..world.announcement(number.into())
    };
    let [first, second, gone] = [1, 2, 3].map(|number| keyed(&world, number));
    world.admission.announce(gone.clone(), world.now).unwrap();
    world.wait(240);
    for announced in [&first, &second] {
        world.admission.announce(announced.clone(), world.now).unwrap();
    }

    restart(&mut world);

    assert_eq!(world.admission.count(), 2);
    assert!(text(&world).contains(&format!("\"key\":\"{}\"", "01".repeat(16))));
    assert_eq!(world.admission.announce(first, world.now), Ok(()));
    assert_eq!(world.admission.announce(gone, world.now), Err(Refusal::Ended));
    assert_eq!(world.admission.count(), 2);
}

#[test]
fn sessions_are_restored_without_routes() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, b"secret");
    world.send(Side::Client, "192.0.2.1:5000", candidates(0x1001, 1)).unwrap();
    assert!(!text(&world).contains("secret"));

    restart(&mut world);

    let early = world.send(Side::Client, "192.0.2.1:5000", candidates(0x1001, 1));
    assert_eq!(early, Err(Dropped::Unknown));
    let control = world.admit(1, "192.0.2.9").unwrap();
    world.observe(control, Side::Client, &bytes(&[0x1001]));
    let sent = world.send(Side::Client, "192.0.2.9:6000", candidates(0x1001, 1));
    assert_eq!(sent, Ok(agent(1)));
    assert_eq!(world.ends(), []);
}

#[test]
fn an_announced_session_keeps_its_deadline() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    world.announce(2).unwrap();
    world.wait(239);

    restart(&mut world);

    assert!(world.admit(2, "192.0.2.1").is_some());
    world.now = world.now + Duration::from_secs(1);
    assert_eq!(world.admit(1, "192.0.2.1"), None);
    world.wait(0);
    assert_eq!(world.ends(), [(id(1), End::Unused)]);
}

#[test]
fn a_session_in_use_has_the_full_resume_time_after_a_restart() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    // Without a control connection, but with datagrams.
    let gone = world.connect(2, "192.0.2.2");
    world.send(Side::Client, "192.0.2.2:5000", candidates(0x2001, 1)).unwrap();
    world.close(gone);
    for _ in 0..20 {
        world.send(Side::Client, "192.0.2.2:5000", candidates(0x2001, 1)).unwrap();
        world.wait(50);
    }

    world.now = world.now + Duration::from_secs(3600);
    restart(&mut world);

    world.wait(299);
    assert_eq!(world.ends(), []);
    assert!(world.admit(2, "192.0.2.2").is_some());
    world.wait(1);
    assert_eq!(world.ends(), [(id(1), End::ResumeTimeout)]);
}

#[test]
fn a_session_that_waited_keeps_its_deadline() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.close(control);
    world.wait(299);

    restart(&mut world);

    assert_eq!(world.ends(), []);
    world.wait(1);
    assert_eq!(world.ends(), [(id(1), End::ResumeTimeout)]);
}

#[test]
fn sessions_that_expired_while_stopped_end_at_the_restart() {
    let mut world = World::new(10);
    let replay = world.announcement(1);
    world.announce(1).unwrap();
    world.now = world.now + Duration::from_secs(241);

    restart(&mut world);

    assert_eq!(world.admission.take_events(), [Event::Ended(Slot(0), id(1), End::Unused)]);
    assert_eq!(world.admission.announce(replay, world.now), Err(Refusal::Ended));
}

#[test]
fn a_replay_after_a_restart_changes_nothing() {
    let mut world = World::new(10);
    let ended = world.announcement(1);
    world.announce(1).unwrap();
    world.wait(200);
    let replaced = world.announcement(2);
    world.announce(2).unwrap();
    let announced = world.announcement(3);
    world.announce(3).unwrap();
    let used = world.announcement(4);
    let control = world.connect(4, "192.0.2.4");
    world.close(control);
    world.wait(40);
    let restored = Announcement { tag: tag(7), ..world.announcement(2) };
    assert_eq!(world.admission.announce(restored, world.now), Ok(()));

    restart(&mut world);
    let before = text(&world);

    let table = [
        (ended, Err(Refusal::Ended)),
        (replaced, Err(Refusal::Conflict)),
        (announced, Ok(())),
        (used, Ok(())),
    ];
    for (replay, answer) in table {
        assert_eq!(world.admission.announce(replay.clone(), world.now), answer, "{replay:?}");
    }
    assert_eq!(text(&world), before);
    assert_eq!(world.admission.take_events(), []);
    world.wait(119);
    assert_eq!(world.announce(1), Err(Refusal::Ended));
    world.wait(1);
    assert_eq!(world.announce(1), Ok(()), "forgotten after two minutes");
}

#[test]
fn a_clock_that_was_set_back_extends_no_session() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    world.wait(240);
    world.announce(2).unwrap();
    let control = world.connect(3, "192.0.2.1");
    world.close(control);
    let year = Duration::from_hours(365 * 24);
    let journal = world.admission.journal();

    world.now = world.now - year;
    restore(&mut world, journal, 10);

    let again = Announcement { issued: world.now - year, ..world.announcement(1) };
    world.wait(119);
    assert_eq!(world.admission.announce(again.clone(), world.now), Err(Refusal::Ended));
    world.wait(1);
    assert_eq!(world.admission.announce(again, world.now), Ok(()));
    world.wait(120);
    assert_eq!(world.ends(), [(id(2), End::Unused)]);
    world.wait(60);
    assert_eq!(world.ends(), [(id(3), End::ResumeTimeout)]);
}

#[test]
fn a_lower_limit_applies_to_restored_sessions() {
    let mut world = World::new(10);
    for number in 1..=3 {
        world.announce(number).unwrap();
    }
    let journal = world.admission.journal();
    assert_eq!(journal.count(), 3);

    restore(&mut world, journal, 2);

    assert_eq!(world.admission.count(), 2);
    assert!(world.admission.is_full());
    world.wait(240);
    assert!(!world.admission.is_full());
}

#[test]
fn duplicate_journal_entries_are_restored_once() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    let once = text(&world);
    let (head, rest) = once.split_once('[').unwrap();
    let (entry, tail) = rest.split_once(']').unwrap();
    let other_id = entry.replace(id(1).as_str(), id(2).as_str());
    let other_tag = entry.replace(&String::from(tag(1)), &String::from(tag(2)));
    let thrice = format!("{head}[{entry},{other_id},{other_tag}]{tail}");

    restore(&mut world, read(thrice.as_bytes()), 10);

    assert_eq!(text(&world), once);
    world.wait(240);
    assert!(world.admission.tag_lengths().is_empty(), "nothing is left over");
}

#[test]
fn an_invalid_journal_of_version_1_is_refused() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    let whole = text(&world);
    let hex = &String::from(tag(1))[2..];
    let damaged = [
        "{".to_owned(),
        "{\"version\":1}".to_owned(),
        whole[..whole.len() - 1].to_owned(),
        format!("{whole}x"),
        "{\"version\":".repeat(1_000_000),
        whole.replace("10.0.0.1:4172", "agent.example:4172"),
        whole.replace(&format!("8:{hex}"), &format!("5000:{hex}")),
        whole.replace(hex, "00"),
        whole.replace(id(1).as_str(), "../../etc/passwd"),
    ];
    for text in damaged {
        let parsed = Journal::parse(text.as_bytes());
        assert!(matches!(parsed, Err(Unreadable::Damaged(_))), "{parsed:?}: {text:.80}");
    }
    let foreign = "{\"version\":3,\"sessions\":{}}";
    assert!(matches!(Journal::parse(foreign.as_bytes()), Err(Unreadable::Foreign(3, _))));
}

#[test]
fn the_agents_name_survives_a_restart_and_older_journals_have_none() {
    let mut world = World::new(1);
    let hostname = Some("desk.example".parse().unwrap());
    let named = Announcement { hostname, ..world.announcement(1) };
    world.admission.announce(named.clone(), START).unwrap();
    let written = text(&world);
    let older = written.replace(",\"hostname\":\"desk.example\"", "");
    assert_ne!(older, written);

    for (text, hostname) in [(written, named.hostname.clone()), (older, None)] {
        let mut restored = World::new(1);
        restored.admission.restore(read(text.as_bytes()), START);

        let admitted = restored.admission.admit(&[named.tag], from("192.0.2.1"), START).unwrap();

        assert_eq!(admitted.hostname, hostname);
    }
}

#[test]
fn an_agents_name_that_is_announced_later_is_kept() {
    let mut world = World::new(1);
    world.announce(1).unwrap();
    world.admission.take_records();
    let hostname = Some("desk.example".parse().unwrap());
    let issued = START + Duration::from_secs(1);
    let later = Announcement { hostname: hostname.clone(), issued, ..world.announcement(1) };

    world.admission.announce(later.clone(), START).unwrap();

    assert_eq!(world.admission.take_records().len(), 1);
    let admitted = world.admission.admit(&[later.tag], from("192.0.2.1"), START).unwrap();
    assert_eq!(admitted.hostname, hostname);
}
