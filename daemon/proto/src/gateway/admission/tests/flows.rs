//! Which session a datagram belongs to.

use super::*;

const CLIENT: &str = "192.0.2.1:5000";
const AGENT: &str = "10.0.0.1:4172";

/// A session with agent 1 whose control bytes contain these SPIs.
fn revealed(control_bytes: fn(&[u32]) -> Vec<u8>, spis: &[u32]) -> (World, Control) {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, &control_bytes(spis));
    (world, control)
}

#[test]
fn datagrams_with_a_revealed_spi_are_relayed_in_any_layout_and_byte_order() {
    for layout in [chunks, bytes] {
        let swap = |spi: u32, swapped| if swapped { spi.swap_bytes() } else { spi };
        for (swapped, header) in [(false, false), (false, true), (true, false), (true, true)] {
            let (mut world, control) = revealed(layout, &[0xc001_c001]);
            world.observe(control, Side::Agent, &layout(&[0xa001_a001]));
            let at = |spi| {
                if header {
                    candidates(0, swap(spi, swapped))
                } else {
                    candidates(swap(spi, swapped), 7)
                }
            };

            let up = world.send(Side::Client, CLIENT, at(0xc001_c001));
            let down = world.send(Side::Agent, AGENT, at(0xa001_a001));

            assert_eq!((up, down), (Ok(address(AGENT)), Ok(address(CLIENT))));
        }
    }
}

#[test]
fn datagrams_may_have_the_spi_of_either_side() {
    let (mut world, _) = revealed(chunks, &[0xc001]);

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Ok(address(AGENT)));
    assert_eq!(world.send(Side::Agent, AGENT, candidates(0xc001, 1)), Ok(address(CLIENT)));
}

#[test]
fn agent_datagrams_are_dropped_until_the_client_sends_one() {
    let (mut world, _) = revealed(chunks, &[0xa001]);

    let early = world.send(Side::Agent, AGENT, candidates(0xa001, 1));
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();

    assert_eq!(early, Err(Dropped::NoDestination));
    let found = world.routes.read().find(Side::Agent, address(AGENT), candidates(0xa001, 2));
    assert_eq!(found.map(|found| found.to), Some(address(CLIENT)));
}

#[test]
fn datagrams_from_another_address_are_dropped_even_with_a_known_spi() {
    let (mut world, _) = revealed(chunks, &[0xc001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();

    for (side, from) in [(Side::Client, "192.0.2.9:5000"), (Side::Agent, "10.0.0.9:4172")] {
        assert_eq!(world.send(side, from, candidates(0xc001, 1)), Err(Dropped::Unknown));
        let asked = world.admission.datagram(
            side,
            origin(address(from)),
            candidates(0xc001, 1),
            (world.now, |_| Seen::default()),
        );
        assert_eq!(asked, Err(Dropped::Unknown));
    }
}

#[test]
fn an_unrevealed_spi_is_assigned_to_the_only_session_without_a_flow() {
    let mut world = World::new(10);
    let first = world.connect(1, "192.0.2.1");
    world.observe(first, Side::Client, &bytes(&[0xc001]));
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.connect(2, "192.0.2.1");
    world.announce(3).unwrap();

    let sent = world.send(Side::Client, "192.0.2.1:6000", candidates(0xdddd, 1));

    assert_eq!(sent, Ok(agent(2)));
    let another = world.send(Side::Client, "192.0.2.1:7000", candidates(0xeeee, 1));
    assert_eq!(another, Err(Dropped::Unknown), "no session lacks a flow");
}

#[test]
fn an_unrevealed_spi_that_matches_several_sessions_is_dropped() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    world.connect(2, "192.0.2.1");

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Err(Dropped::Ambiguous));
}

#[test]
fn an_spi_that_several_sessions_revealed_is_dropped() {
    let mut world = World::new(10);
    for number in [1, 2] {
        let control = world.connect(number, "192.0.2.1");
        world.observe(control, Side::Client, &chunks(&[0xc001]));
    }

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Err(Dropped::Ambiguous));
}

#[test]
fn a_guessed_flow_is_corrected_when_another_session_reveals_its_spi() {
    let mut world = World::new(10);
    let wrong = world.connect(1, "192.0.2.1");
    world.send(Side::Client, CLIENT, candidates(0xc002, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();

    let right = world.connect(2, "192.0.2.1");
    world.observe(right, Side::Client, &bytes(&[0xc002]));

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc002, 2)), Ok(agent(2)));
    let down = world.send(Side::Agent, AGENT, candidates(0xa001, 2));
    assert_eq!(down, Err(Dropped::NoDestination), "the first client is unknown again");
    assert!(world.observe(wrong, Side::Client, b"more"));
    assert_eq!(world.send(Side::Client, "192.0.2.1:6000", candidates(0xc001, 1)), Ok(agent(1)));
}

#[test]
fn a_guess_stays_when_another_session_contains_a_common_value() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    let short = SpiCandidates { first: spi(4), second: None, third: None };
    world.send(Side::Client, CLIENT, short).unwrap();

    let other = world.connect(2, "192.0.2.1");
    world.observe(other, Side::Client, &bytes(&[4]));

    assert_eq!(world.send(Side::Client, CLIENT, short), Ok(agent(1)));
}

#[test]
fn a_guess_stays_when_its_own_session_reveals_the_spi() {
    let mut world = World::new(10);
    let own = world.connect(1, "192.0.2.1");
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.observe(own, Side::Agent, &bytes(&[0xc001]));

    let other = world.connect(2, "192.0.2.1");
    world.observe(other, Side::Client, &bytes(&[0xc001]));

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 2)), Ok(agent(1)));
}

#[test]
fn a_guessed_flow_with_a_changing_header_is_recognized_by_its_second_word() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");

    for header in [0x8000_0001, 0x8000_0002, 0x8000_0003] {
        let sent = world.send(Side::Client, CLIENT, candidates(header, 0xc001));
        assert_eq!(sent, Ok(address(AGENT)), "{header:x}");
    }
    assert!(
        world.routes.read().find(Side::Client, address(CLIENT), candidates(4, 0xc001)).is_some()
    );
}

#[test]
fn a_reserved_value_is_not_guessed_as_an_spi() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    world.send(Side::Client, CLIENT, candidates(0, 0xc001)).unwrap();

    assert!(
        world.routes.read().find(Side::Client, address(CLIENT), candidates(1, 0xc001)).is_some()
    );
    assert_eq!(
        world.routes.read().find(Side::Client, address(CLIENT), candidates(0, 0xdddd)),
        None
    );
}

#[test]
fn a_known_spi_from_a_new_port_moves_both_directions() {
    let (mut world, control) = revealed(chunks, &[0xc001]);
    world.observe(control, Side::Agent, &chunks(&[0xa001]));
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();

    let moved = "192.0.2.1:6000";
    world.fall_silent();
    assert_eq!(world.send(Side::Client, moved, candidates(0xc001, 2)), Ok(address(AGENT)));

    assert_eq!(world.send(Side::Agent, AGENT, candidates(0xa001, 2)), Ok(address(moved)));
    assert_eq!(
        world.routes.read().find(Side::Client, address(CLIENT), candidates(0xc001, 3)),
        None
    );
}

#[test]
fn a_guessed_flow_moves_too() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    world.send(Side::Client, CLIENT, candidates(0xdddd, 1)).unwrap();
    world.fall_silent();

    let moved = world.send(Side::Client, "192.0.2.1:6000", candidates(0xdddd, 2));

    assert_eq!(moved, Ok(agent(1)));
}

#[test]
fn a_guessed_flow_does_not_move_to_a_session_that_revealed_its_spi() {
    let mut world = World::new(10);
    let first = world.connect(1, "192.0.2.1");
    world.connect(2, "198.51.100.7");
    world.send(Side::Client, CLIENT, candidates(0xeeee, 1)).unwrap();
    world.send(Side::Client, "198.51.100.7:5000", candidates(0xc001, 1)).unwrap();
    world.observe(first, Side::Client, &chunks(&[0xc001]));

    world.admit(2, "192.0.2.1").unwrap();

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 2)), Ok(agent(1)));
}

#[test]
fn a_client_that_resumes_from_another_address_keeps_its_flows() {
    let (mut world, control) = revealed(chunks, &[0xc001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.close(control);
    let elsewhere = "198.51.100.7:5000";
    assert_eq!(world.send(Side::Client, elsewhere, candidates(0xc001, 2)), Err(Dropped::Unknown));

    world.admit(1, "198.51.100.7").unwrap();

    assert_eq!(world.send(Side::Client, elsewhere, candidates(0xc001, 3)), Ok(address(AGENT)));
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 4)), Err(Dropped::Unknown));
}

#[test]
fn a_resumed_session_may_have_new_unrevealed_spis() {
    let (mut world, control) = revealed(bytes, &[0xc001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();
    world.close(control);
    world.wait(30);

    world.admit(1, "192.0.2.1").unwrap();

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc002, 1)), Ok(address(AGENT)));
    assert_eq!(world.send(Side::Agent, AGENT, candidates(0xa002, 1)), Ok(address(CLIENT)));
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc003, 1)), Err(Dropped::Unknown));
}

#[test]
fn a_session_that_resumed_and_kept_its_flows_attracts_no_guesses_after_a_minute() {
    let (mut world, control) = revealed(bytes, &[0xc001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.close(control);
    world.admit(1, "192.0.2.1").unwrap();

    world.wait(60);

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xdddd, 1)), Err(Dropped::Unknown));
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Ok(address(AGENT)));
}

#[test]
fn new_keys_in_parsed_chunks_make_new_flows_at_any_time() {
    let (mut world, control) = revealed(chunks, &[0xc001, 0xa001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();
    world.wait(3600);

    assert!(world.observe(control, Side::Client, &chunks(&[0xc002])));

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc002, 1)), Ok(address(AGENT)));
}

#[test]
fn control_bytes_are_wiped_when_both_flows_are_known() {
    let (mut world, control) = revealed(bytes, &[0xc001, 0xa001, 0xdddd]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    assert!(world.observe(control, Side::Client, b"more"));

    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();

    assert!(!world.observe(control, Side::Client, b"more"));
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xdddd, 1)), Err(Dropped::Unknown));
}

#[test]
fn control_bytes_are_wiped_after_a_minute() {
    let (mut world, control) = revealed(bytes, &[0xc001]);
    world.connect(2, "192.0.2.1");

    world.wait(59);
    assert!(world.observe(control, Side::Client, b"more"));
    world.wait(1);

    assert!(!world.observe(control, Side::Client, b"more"));
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Err(Dropped::Ambiguous));
}

#[test]
fn control_bytes_are_kept_while_a_flow_is_a_guess() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, b"foreign stream of bytes");
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();

    assert!(world.observe(control, Side::Client, b"more"));
}

#[test]
fn a_route_exists_while_the_control_connection_does() {
    let (mut world, _) = revealed(chunks, &[0xc001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();

    world.wait(3600);
    world.wait(3600);

    assert!(
        world.routes.read().find(Side::Client, address(CLIENT), candidates(0xc001, 2)).is_some()
    );
}

#[test]
fn datagrams_are_relayed_after_the_control_connection_closed() {
    let (mut world, control) = revealed(chunks, &[0xc001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.close(control);

    for _ in 0..20 {
        world.wait(59);
        assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Ok(address(AGENT)));
    }
    world.wait(1);
    assert_eq!(world.ends(), []);
    world.wait(60);

    assert_eq!(world.ends(), [(id(1), End::ResumeTimeout)]);
}

#[test]
fn a_silent_flow_ends_and_may_resume_while_its_session_waits() {
    let (mut world, control) = revealed(chunks, &[0xc001]);
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.close(control);

    world.wait(1);
    world.wait(59);
    assert!(
        world.routes.read().find(Side::Client, address(CLIENT), candidates(0xc001, 2)).is_some()
    );
    world.wait(1);

    assert_eq!(
        world.routes.read().find(Side::Client, address(CLIENT), candidates(0xc001, 2)),
        None
    );
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 3)), Ok(address(AGENT)));
}

#[test]
fn a_fifth_flow_of_a_side_replaces_the_one_silent_longest() {
    let spis = [0xc000, 0xc001, 0xc002, 0xc003, 0xc004];
    let (mut world, _) = revealed(chunks, &spis);

    for spi in spis {
        world.now = world.now + Duration::from_secs(1);
        world.send(Side::Client, CLIENT, candidates(spi, 1)).unwrap();
    }

    let found =
        spis.map(|spi| world.routes.read().find(Side::Client, address(CLIENT), candidates(spi, 2)));
    assert_eq!(found.map(|found| found.is_some()), [false, true, true, true, true]);
}
