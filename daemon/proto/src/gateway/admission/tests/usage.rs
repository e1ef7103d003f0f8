//! Which sessions are in use, and which can only be resumed.

use super::*;

/// A message of the documented layout; kind 4 is Bye, 5 is ByeOk, 6 is Ping.
fn message(kind: u8) -> Vec<u8> {
    let body = [b"ssig\0\0\0\x04\0\0\0", &[kind][..]].concat();
    [&(body.len() as u64).to_be_bytes(), body.as_slice()].concat()
}

fn usage(world: &World) -> (usize, usize) {
    let Usage { in_use, resumable } = world.admission.usage(world.now);
    (in_use, resumable)
}

/// A session whose client has sent its control bytes and sends datagrams.
fn running(world: &mut World) -> Control {
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, &chunks(&[0x1001]));
    datagram(world, 1);
    control
}

fn datagram(world: &mut World, sequence: u32) {
    let sent = world.send(Side::Client, "192.0.2.1:5000", candidates(0x1001, sequence));
    assert_eq!(sent, Ok(agent(1)));
    world.tick();
}

#[test]
fn a_connected_session_is_in_use_even_if_it_is_silent() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");

    world.wait(3600);

    assert_eq!(usage(&world), (1, 0));
}

#[test]
fn after_bye_a_session_is_resumable_once_its_datagrams_stop() {
    for kind in [4, 5] {
        for is_closed in [false, true] {
            let mut world = World::new(10);
            let control = running(&mut world);

            world.observe(control, Side::Client, &message(kind));
            if is_closed {
                world.close(control);
            }
            assert_eq!(usage(&world), (1, 0), "datagrams came just now");
            world.wait(2);

            assert_eq!(usage(&world), (0, 1), "kind {kind}, closed: {is_closed}");
            assert_eq!(world.ends(), []);
            world.admit(1, "192.0.2.1").unwrap();
            assert_eq!(usage(&world), (1, 0), "it was resumed");
        }
    }
}

#[test]
fn a_session_with_datagrams_after_bye_is_in_use() {
    let mut world = World::new(10);
    let control = running(&mut world);
    world.observe(control, Side::Client, &message(4));
    world.close(control);

    for sequence in 2..100 {
        world.wait(1);
        datagram(&mut world, sequence);
        assert_eq!(usage(&world), (1, 0));
    }
}

#[test]
fn only_a_bye_of_the_client_ends_the_use() {
    let mut world = World::new(10);
    let control = running(&mut world);

    world.observe(control, Side::Client, &message(6));
    world.observe(control, Side::Agent, &chunks(&[0x2001]));
    world.observe(control, Side::Agent, &message(4));
    world.wait(60);

    assert_eq!(usage(&world), (1, 0));
}

#[test]
fn a_session_without_a_control_connection_is_in_use_until_udp_idle() {
    let mut world = World::new(10);
    let control = running(&mut world);
    world.close(control);

    world.wait(30);
    datagram(&mut world, 2);
    world.wait(59);
    assert_eq!(usage(&world), (1, 0));
    world.wait(1);

    assert_eq!(usage(&world), (0, 1));
    world.wait(240);
    assert_eq!(world.ends(), [(id(1), End::ResumeTimeout)]);
    assert_eq!(usage(&world), (0, 0));
}

#[test]
fn a_session_without_datagrams_is_in_use_until_udp_idle() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.wait(600);
    world.close(control);

    world.wait(59);
    assert_eq!(usage(&world), (1, 0));
    world.wait(1);

    assert_eq!(usage(&world), (0, 1));
}

#[test]
fn an_announced_session_is_in_use_until_udp_idle() {
    let mut world = World::new(10);
    world.announce(1).unwrap();

    world.wait(59);
    assert_eq!(usage(&world), (1, 0));
    world.wait(1);

    assert_eq!(usage(&world), (0, 1));
    world.admit(1, "192.0.2.1").unwrap();
    assert_eq!(usage(&world), (1, 0));
}

#[test]
fn a_restart_counts_as_the_last_activity_of_a_connected_session() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    let left = world.connect(2, "192.0.2.2");
    world.close(left);
    world.wait(100);
    let journal = world.admission.journal();
    let mut restarted = World::new(10);
    restarted.now = world.now;

    restarted.admission.restore(journal, restarted.now);

    assert_eq!(usage(&restarted), (1, 1));
    restarted.wait(60);
    assert_eq!(usage(&restarted), (0, 2));
}
