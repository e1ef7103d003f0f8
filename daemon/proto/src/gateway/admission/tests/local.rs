//! The local address that the client's datagrams come to.

use super::*;

const CLIENT: &str = "192.0.2.1:5000";
const AGENT: &str = "10.0.0.1:4172";

#[test]
fn the_agents_datagrams_leave_from_where_the_clients_come_to() {
    let mut world = World::new(10);
    let control = world.connect(1, "192.0.2.1");
    world.observe(control, Side::Client, &chunks(&[0xc001]));
    world.send(Side::Client, CLIENT, candidates(0xc001, 1)).unwrap();
    world.send(Side::Agent, AGENT, candidates(0xc001, 1)).unwrap();
    let leaves = |world: &World| {
        world
            .routes
            .read()
            .find(Side::Agent, address(AGENT), candidates(0xc001, 2))
            .map(|found| found.from)
    };
    assert_eq!(leaves(&world), Some(None), "the system chooses well");

    let at = ip("203.0.113.9");
    for (is_usual, expected) in [(false, Some(at)), (true, None)] {
        let local = Some(Local { at, is_usual });
        let origin = Origin { from: address(CLIENT), local };
        let words = candidates(0xc001, 3);
        let sent =
            world.admission.datagram(Side::Client, origin, words, (world.now, |_| Seen::default()));
        world.tick();

        assert_eq!(leaves(&world), Some(expected));
        let sent = sent.unwrap();
        assert!(sent.accepts(Some(at)) && !sent.accepts(Some(ip("203.0.113.7"))));
        let found = world.routes.read().find(Side::Client, address(CLIENT), words);
        assert_eq!(found, Some(sent));
    }
}
