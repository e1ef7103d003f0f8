//! Announcing, admitting, resuming and ending sessions.

use super::*;

#[test]
fn a_client_with_an_announced_tag_is_connected_to_its_agent() {
    let mut world = World::new(10);
    world.announce(1).unwrap();

    let admitted = world.admission.admit(&[tag(7), tag(1)], from("192.0.2.1"), START).unwrap();

    assert_eq!((admitted.id, admitted.agent), (id(1), agent(1)));
    assert_eq!(world.admission.admit(&[tag(2)], from("192.0.2.1"), START), None);
    assert_eq!(world.admission.tag_lengths(), [8]);
}

#[test]
fn the_same_announcement_again_changes_nothing() {
    let mut world = World::new(1);
    let announcement = world.announcement(1);
    assert_eq!(world.admission.announce(announcement.clone(), START), Ok(()));

    world.wait(239);
    let again = Announcement { issued: world.now, ..announcement };
    assert_eq!(world.admission.announce(again, world.now), Ok(()));
    world.wait(1);

    assert_eq!(world.ends(), [(id(1), End::Unused)]);
    assert_eq!(world.admission.count(), 0);
}

#[test]
fn an_announced_session_without_a_client_expires() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    world.announce(2).unwrap();

    world.wait(239);
    assert!(world.admit(2, "192.0.2.1").is_some());
    world.now = world.now + Duration::from_secs(1);

    assert_eq!(world.admit(1, "192.0.2.1"), None, "not even before the next tick");
    world.wait(0);
    assert_eq!(world.ends(), [(id(1), End::Unused)]);
}

#[test]
fn no_more_sessions_than_allowed_are_announced() {
    let mut world = World::new(2);

    assert_eq!(world.announce(1), Ok(()));
    assert_eq!(world.announce(2), Ok(()));
    assert_eq!(world.announce(3), Err(Refusal::Full));
    assert_eq!(world.announce(1), Ok(()));
    world.wait(240);
    assert_eq!(world.announce(3), Ok(()));
}

#[test]
fn a_replayed_announcement_of_an_ended_session_changes_nothing() {
    let mut world = World::new(10);
    let replay = world.announcement(1);
    world.announce(1).unwrap();
    world.wait(240);

    assert_eq!(world.admission.announce(replay.clone(), world.now), Err(Refusal::Ended));
    let signed_anew = Announcement { issued: world.now, ..replay.clone() };
    assert_eq!(world.admission.announce(signed_anew, world.now), Err(Refusal::Ended));
    world.wait(120);
    assert_eq!(world.admission.announce(replay, world.now), Ok(()));
}

#[test]
fn a_new_session_may_have_the_id_of_an_ended_one() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    world.wait(240);

    let other = Announcement { tag: tag(7), ..world.announcement(1) };

    assert_eq!(world.admission.announce(other, world.now), Ok(()));
}

#[test]
fn a_later_announcement_replaces_a_session_without_a_client() {
    let mut world = World::new(1);
    world.announce(1).unwrap();
    let first = world.announcement(1);
    world.wait(5);
    let second = Announcement { tag: tag(7), agent: agent(7), ..world.announcement(1) };

    assert_eq!(world.admission.announce(second, world.now), Ok(()));
    assert_eq!(world.ends(), [(id(1), End::Superseded)]);
    assert_eq!(world.admission.announce(first, world.now), Err(Refusal::Conflict), "a replay");
    assert_eq!(world.admit(1, "192.0.2.1"), None);
    assert!(world.admit(7, "192.0.2.1").is_some());
}

#[test]
fn of_two_announcements_in_one_second_the_later_one_wins() {
    let mut world = World::new(1);
    world.announce(1).unwrap();
    let second = Announcement { tag: tag(7), agent: agent(7), ..world.announcement(1) };

    assert_eq!(world.admission.announce(second, world.now), Ok(()));
    assert_eq!(world.admit(1, "192.0.2.1"), None);
    assert!(world.admit(7, "192.0.2.1").is_some());
}

#[test]
fn an_announcement_that_contradicts_a_connected_session_is_refused() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    world.wait(5);

    let other_tag = Announcement { tag: tag(7), ..world.announcement(1) };
    let other_agent = Announcement { agent: agent(7), ..world.announcement(1) };
    let tag_of_another = Announcement { id: id(7), agent: agent(7), ..world.announcement(1) };

    for announcement in [other_tag, other_agent, tag_of_another] {
        assert_eq!(world.admission.announce(announcement, world.now), Err(Refusal::Conflict));
    }
}

#[test]
fn a_new_logon_to_the_same_agent_session_takes_over_its_tag() {
    let mut world = World::new(1);
    let control = world.connect(1, "192.0.2.1");
    world.admission.take_events();
    world.wait(5);
    let new_login = Announcement { id: id(2), ..world.announcement(1) };

    assert_eq!(world.admission.announce(new_login, world.now), Ok(()));

    let events = world.admission.take_events();
    assert_eq!(
        events,
        [
            Event::Close(control),
            Event::Ended(Slot(0), id(1), End::Superseded),
            Event::Opened(Slot(0), id(2)),
        ]
    );
    let admitted = world.admission.admit(&[tag(1)], from("192.0.2.1"), world.now).unwrap();
    assert_eq!(admitted.id, id(2));
}

#[test]
fn a_second_control_connection_takes_over_from_the_first() {
    let mut world = World::new(10);
    let first = world.connect(1, "192.0.2.1");
    world.admission.take_events();

    let second = world.admit(1, "192.0.2.9").unwrap();

    assert_eq!(world.admission.take_events(), [Event::Close(first)]);
    assert!(!world.observe(first, Side::Client, b"late"));
    world.close(first);
    assert_eq!(world.admission.views().next().unwrap().state, "connected");
    assert!(world.observe(second, Side::Client, b"now"));
}

#[test]
fn a_lost_control_connection_may_be_resumed_with_the_same_tag() {
    let mut world = World::new(10);
    let first = world.connect(1, "192.0.2.1");

    world.close(first);
    world.wait(299);
    let second = world.admit(1, "192.0.2.1").unwrap();
    world.wait(600);

    assert_ne!(first, second);
    assert_eq!(world.ends(), []);
    world.close(second);
    world.wait(300);
    assert_eq!(world.ends(), [(id(1), End::ResumeTimeout)]);
    assert_eq!(world.admit(1, "192.0.2.1"), None);
}

#[test]
fn an_ended_session_leaves_no_route() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.send(Side::Client, "192.0.2.1:5000", candidates(0x1001, 1)).unwrap();
    world.send(Side::Agent, "10.0.0.1:4172", candidates(0x2001, 1)).unwrap();
    world.close(control);

    world.wait(1);
    world.wait(299);

    assert_eq!(world.ends(), [(id(1), End::ResumeTimeout)]);
    assert_eq!(world.routes, Routes::default());
}

/// An announcement with the log id of session 1 and this key.
fn keyed(world: &World, number: u8) -> Announcement {
    let key = Some(SessionKey::from_random([number; 16]));
    Announcement { id: id(1), key, ..world.announcement(number.into()) }
}

#[test]
fn a_session_log_id_cannot_end_a_session_with_a_key() {
    let mut world = World::new(10);
    world.admission.announce(keyed(&world, 1), world.now).unwrap();
    world.wait(1);
    let by_id_alone = Announcement { key: None, ..keyed(&world, 3) };

    // The other user's session is announced, then connected.
    assert_eq!(world.admission.announce(keyed(&world, 2), world.now), Ok(()));
    assert_eq!(world.ends(), []);
    world.admit(1, "192.0.2.1").unwrap();
    assert_eq!(world.admission.announce(by_id_alone, world.now), Ok(()));

    assert_eq!(world.ends(), []);
    assert_eq!(world.admission.count(), 3);
    for number in [1, 2, 3] {
        let admitted = world.admission.admit(&[tag(number)], from("192.0.2.1"), world.now).unwrap();
        assert_eq!((admitted.id, admitted.agent), (id(1), agent(number)));
    }
}

#[test]
fn a_key_identifies_one_session_with_any_log_id() {
    let mut world = World::new(10);
    let first = keyed(&world, 1);
    world.admission.announce(first.clone(), world.now).unwrap();
    let again = Announcement { id: id(9), ..first.clone() };
    let second = Announcement { tag: tag(7), agent: agent(7), issued: world.now, ..first };

    assert_eq!(world.admission.announce(again, world.now), Ok(()));
    assert_eq!(world.admission.count(), 1);
    assert_eq!(world.admission.announce(second.clone(), world.now), Ok(()));
    assert_eq!(world.ends(), [(id(1), End::Superseded)]);
    world.admit(7, "192.0.2.1").unwrap();
    let third = Announcement { tag: tag(8), ..second };
    assert_eq!(world.admission.announce(third, world.now), Err(Refusal::Conflict));
}

#[test]
fn an_ended_session_with_a_key_is_remembered_by_its_key() {
    let mut world = World::new(10);
    let [own, other] = [1, 2].map(|number| keyed(&world, number));
    world.admission.announce(own.clone(), world.now).unwrap();
    world.wait(240);
    assert_eq!(world.ends(), [(id(1), End::Unused)]);

    assert_eq!(world.admission.announce(own, world.now), Err(Refusal::Ended));
    assert_eq!(world.admission.announce(other, world.now), Ok(()));
}

#[test]
fn a_guessed_flow_moves_to_the_session_that_reveals_its_spi_byte_by_byte() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    let sent = world.send(Side::Client, "192.0.2.1:5000", candidates(0xdddd_0001, 1));
    assert_eq!(sent, Ok(agent(1)));
    let control = world.connect(2, "192.0.2.1");

    for byte in bytes(&[0xdddd_0001]) {
        world.observe(control, Side::Client, &[byte]);
    }

    let sent = world.send(Side::Client, "192.0.2.1:5000", candidates(0xdddd_0001, 2));
    assert_eq!(sent, Ok(agent(2)));
}
