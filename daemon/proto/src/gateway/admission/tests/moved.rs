//! Sessions that move between gateways.

use super::*;
use crate::{
    SessionKey,
    failover::{AgentFlow, ClientFlow, Flows},
};

const CLIENT: &str = "192.0.2.1:5000";
const AGENT: &str = "10.0.0.1:4172";

fn key(number: u32) -> SessionKey {
    SessionKey::from_random([u8::try_from(number).unwrap(); 16])
}

impl World {
    fn with_key(&self, number: u32) -> Announcement {
        Announcement { key: Some(key(number)), ..self.announcement(number) }
    }

    /// Takes a session over from another gateway because of its client's datagrams.
    fn take_over(&mut self, number: u32) {
        let announced = self.with_key(number);
        self.admission.take_over(announced, Some(ip("192.0.2.1")), self.now);
        self.follow();
    }

    fn inherit(&mut self, side: Side, from: &str, spi: u32) -> Result<SocketAddr, Dropped> {
        let numbered = (super::spi(spi), Some(1));
        let origin = origin(address(from));
        let inherited = self.admission.inherit((key(1), side), origin, numbered, self.now);
        self.follow();
        inherited.map(|destination| destination.to)
    }

    fn is_certain(&self, side: Side, from: &str, spi: u32) -> bool {
        self.admission.is_certain(side, address(from), candidates(spi, 7))
    }
}

#[test]
fn an_inherited_session_has_only_the_flows_that_it_is_given() {
    let mut world = World::new(10);
    world.take_over(1);

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Err(Dropped::Unknown));
    assert_eq!(world.inherit(Side::Client, CLIENT, 0xc001), Ok(agent(1)));
    assert_eq!(world.inherit(Side::Agent, AGENT, 0xa001), Ok(address(CLIENT)));
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Ok(agent(1)));
    assert_eq!(world.send(Side::Agent, AGENT, candidates(0xa001, 1)), Ok(address(CLIENT)));
    for (side, from) in [(Side::Client, CLIENT), (Side::Agent, AGENT)] {
        assert_eq!(world.send(side, from, candidates(0xdddd, 1)), Err(Dropped::Unknown));
    }
}

#[test]
fn a_control_connection_lets_an_inherited_session_learn_flows() {
    let mut world = World::new(10);
    world.take_over(1);
    world.inherit(Side::Client, CLIENT, 0xc001).unwrap();

    world.admit(1, "192.0.2.1").unwrap();

    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 1)), Ok(agent(1)));
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xdddd, 1)), Ok(agent(1)));
}

#[test]
fn a_session_is_taken_over_beyond_the_limit() {
    let mut world = World::new(1);
    world.announce(2).unwrap();

    world.take_over(1);

    assert_eq!(world.admission.count(), 2);
    assert_eq!(world.inherit(Side::Client, CLIENT, 0xc001), Ok(agent(1)));
    assert_eq!(world.announce(3), Err(Refusal::Full));
    let events = world.admission.take_events();
    assert!(matches!(events[..], [Event::Opened(..), Event::TakenOver(Slot(1), _)]), "{events:?}");
}

#[test]
fn a_session_that_moves_away_leaves_nothing_and_may_return() {
    let mut world = World::new(10);
    let announced = world.with_key(1);
    world.admission.announce(announced, world.now).unwrap();
    let control = world.admit(1, "192.0.2.1").unwrap();
    world.observe(control, Side::Client, &chunks(&[0xc001]));
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.admission.take_events();

    world.admission.hand_over(key(1), world.now);
    world.follow();

    let events = world.admission.take_events();
    assert_eq!(events, [Event::Close(control), Event::Moved(control.slot, id(1))]);
    assert_eq!(world.send(Side::Client, CLIENT, candidates(0xc001, 2)), Err(Dropped::Unknown));
    assert_eq!((world.admission.count(), world.admission.tag_lengths()), (0, vec![]));
    world.take_over(1);
    assert_eq!(world.inherit(Side::Client, CLIENT, 0xc001), Ok(agent(1)));
}

#[test]
fn a_restarted_gateway_does_not_restore_a_session_that_moved_away() {
    let mut world = World::new(10);
    let mut file = Journal::default().render();
    let announced = world.with_key(1);
    world.admission.announce(announced, world.now).unwrap();
    world.admission.hand_over(key(1), world.now);

    world.admission.take_records().iter().for_each(|record| record.write(&mut file));

    assert_eq!(Journal::parse(&file).unwrap().journal.count(), 0);
}

#[test]
fn only_known_flows_and_revealed_spis_are_certain() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, &chunks(&[0xc001, 0xc002]));
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();

    assert!(world.is_certain(Side::Client, CLIENT, 0xc001), "it has the flow");
    assert!(world.is_certain(Side::Client, CLIENT, 0xc002), "a further flow");
    assert!(!world.is_certain(Side::Client, "192.0.2.1:5001", 0xc001), "another port");
    assert!(!world.is_certain(Side::Client, CLIENT, 0xdddd), "a guess");
    assert!(!world.is_certain(Side::Client, "192.0.2.2:5000", 0xc001), "another address");
}

#[test]
fn flows_are_reported_with_the_address_that_the_client_sends_to() {
    let mut world = World::new(10);
    let announced = world.with_key(1);
    world.admission.announce(announced, world.now).unwrap();
    let control = world.admit(1, "192.0.2.1").unwrap();
    world.observe(control, Side::Client, &chunks(&[0xc001]));
    world.observe(control, Side::Agent, &chunks(&[0xa001]));
    let listen = address("203.0.113.7:4172");
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xa001, 1)).unwrap();

    assert_eq!(world.admission.take_touched(), [control.slot].into());
    let expected = |to| Flows {
        client: vec![ClientFlow { from: address(CLIENT), spi: spi(0xc001), to }],
        agent: vec![AgentFlow { from: address(AGENT), spi: spi(0xa001) }],
    };
    assert_eq!(world.admission.flows(control.slot, listen), Some((key(1), expected(listen))));

    let local = Some(Local { at: ip("203.0.113.100"), is_usual: false });
    let origin = Origin { from: address(CLIENT), local };
    let seen = |_| Seen::default();
    let words = candidates(0xc001, 2);
    world.admission.datagram(Side::Client, origin, words, (world.now, seen)).unwrap();

    let shared = expected(address("203.0.113.100:4172"));
    assert_eq!(world.admission.flows(control.slot, listen), Some((key(1), shared)));
}

#[test]
fn clients_are_heard_when_their_counters_change() {
    let mut world = World::new(10);
    let announced = world.with_key(1);
    world.admission.announce(announced, world.now).unwrap();
    let control = world.admit(1, "192.0.2.1").unwrap();
    world.observe(control, Side::Client, &chunks(&[0xc001]));
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    let mut heard = |count| world.admission.heard(|_| count);

    assert_eq!(heard(5), [], "the first count");
    assert_eq!(heard(5), []);
    assert_eq!(heard(6), [(key(1), Some(address(CLIENT)))]);
}
