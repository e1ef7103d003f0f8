//! The rules change while the gateway runs.

use super::*;

#[test]
fn fewer_places_refuse_new_sessions_but_end_none() {
    let mut world = World::new(3);
    let control = world.connect(1, "192.0.2.1");
    world.announce(2).unwrap();
    world.announce(3).unwrap();

    world.change(1, TIMEOUTS);

    assert_eq!(world.admission.count(), 3);
    assert_eq!(world.announce(4), Err(Refusal::Full));
    assert!(world.admission.is_full());
    assert!(world.admission.observe(control, Side::Client, b"more"));
    assert!(world.admit(2, "192.0.2.2").is_some(), "an announced session is admitted");
    world.wait(5);
    let again = Announcement { tag: tag(7), ..world.announcement(3) };
    assert_eq!(world.admission.announce(again, world.now), Ok(()), "a client's second attempt");

    world.wait(240);
    assert_eq!(world.admission.count(), 2);
    assert_eq!(world.announce(4), Err(Refusal::Full));
}

#[test]
fn more_places_accept_more_sessions() {
    let mut world = World::new(1);
    let control = world.connect(1, "192.0.2.1");
    assert_eq!(world.announce(2), Err(Refusal::Full));

    world.change(3, TIMEOUTS);

    assert!(!world.admission.is_full());
    for number in [2, 3] {
        world.connect(number, "192.0.2.1");
    }
    assert_eq!(world.announce(4), Err(Refusal::Full));
    assert!(world.observe(control, Side::Client, b"more"), "the first session continues");
    let slots: Vec<_> = world.admission.views().map(|view| view.slot).collect();
    assert_eq!(slots, [0, 1, 2].map(Slot));
}

#[test]
fn changed_timeouts_apply_to_the_sessions_that_exist() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    let control = world.connect(2, "192.0.2.1");
    world.close(control);
    let control = world.connect(3, "192.0.2.1");
    world.observe(control, Side::Client, &chunks(&[0x1001]));
    world.send(Side::Client, "192.0.2.1:5000", candidates(0x1001, 1)).unwrap();
    world.close(control);
    world.admission.take_events();

    world.change(10, SHORT);
    world.wait(58);
    assert_eq!(world.ends(), []);
    world.wait(1);
    assert_eq!(world.ends(), [(id(1), End::Unused)]);
    world.wait(61);
    let ended = [2, 3].map(|number| (id(number), End::ResumeTimeout));
    assert_eq!(world.ends(), ended, "the flow of session 3 was idle for 30 seconds");
}

#[test]
fn a_changed_deadline_is_persisted() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    world.wait(10);
    world.change(10, SHORT);

    journal::restart(&mut world);

    world.wait(48);
    assert_eq!(world.ends(), []);
    world.wait(1);
    assert_eq!(world.ends(), [(id(1), End::Unused)]);
}
