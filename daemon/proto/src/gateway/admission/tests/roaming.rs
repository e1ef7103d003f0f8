//! Clients that move or fall silent: nothing is sent to their former address.

use super::*;

const HOME: &str = "192.0.2.1:5000";
const AWAY: &str = "198.51.100.7:5000";
const AGENT: &str = "10.0.0.1:4172";

/// A connected session with datagrams in both directions.
fn flowing() -> (World, Control) {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, &chunks(&[0xc001, 0xc002]));
    world.observe(control, Side::Agent, &chunks(&[0xa001]));
    world.send(Side::Client, HOME, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();
    (world, control)
}

fn is_routed(world: &World, side: Side, from: &str, spi: u32) -> bool {
    world.routes.read().find(side, address(from), candidates(spi, 7)).is_some()
}

#[test]
fn nothing_is_relayed_for_a_clients_former_address() {
    let (mut world, _) = flowing();

    world.admit(1, "198.51.100.7").unwrap();

    assert!(!is_routed(&world, Side::Client, HOME, 0xc001));
    assert!(!is_routed(&world, Side::Agent, AGENT, 0xa001));
    let waits = world.send(Side::Agent, AGENT, candidates(0xa001, 2));
    assert_eq!(waits, Err(Dropped::NoDestination));
    assert_eq!(world.send(Side::Client, HOME, candidates(0xc001, 2)), Err(Dropped::Unknown));
    assert_eq!(world.send(Side::Client, AWAY, candidates(0xc001, 3)), Ok(address(AGENT)));
    assert_eq!(world.send(Side::Agent, AGENT, candidates(0xa001, 3)), Ok(address(AWAY)));
}

#[test]
fn a_client_that_reconnects_from_the_same_address_keeps_its_routes() {
    let (mut world, control) = flowing();
    world.close(control);

    world.admit(1, "192.0.2.1").unwrap();

    assert!(is_routed(&world, Side::Client, HOME, 0xc001));
    assert!(is_routed(&world, Side::Agent, AGENT, 0xa001));
}

#[test]
fn a_guessed_flow_is_recognized_at_the_clients_new_address() {
    let mut world = World::new(10);
    world.connect(1, "192.0.2.1");
    world.connect(2, "198.51.100.7");
    world.send(Side::Client, HOME, candidates(0xdddd, 1)).unwrap();

    world.admit(1, "198.51.100.7").unwrap();

    assert_eq!(world.send(Side::Client, AWAY, candidates(0xdddd, 2)), Ok(agent(1)));
}

#[test]
fn nothing_is_sent_to_a_silent_client_without_a_control_connection() {
    let (mut world, control) = flowing();
    world.close(control);
    world.wait(1);

    world.wait(60);

    assert!(!is_routed(&world, Side::Agent, AGENT, 0xa001));
    let waits = world.send(Side::Agent, AGENT, candidates(0xa001, 2));
    assert_eq!(waits, Err(Dropped::NoDestination));
    assert_eq!(world.send(Side::Client, HOME, candidates(0xc001, 2)), Ok(address(AGENT)));
    assert_eq!(world.send(Side::Agent, AGENT, candidates(0xa001, 3)), Ok(address(HOME)));
}
