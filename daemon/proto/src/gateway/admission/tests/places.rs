//! Many clients behind one address.

use super::*;

const NAT: &str = "192.0.2.1";

/// So many sessions whose clients have the same address, each with a flow.
fn crowd(sessions: u32, layout: fn(&[u32]) -> Vec<u8>) -> World {
    let mut world = World::new(sessions + 1);
    for number in 0..sessions {
        join(&mut world, number, layout);
    }
    world
}

fn join(world: &mut World, number: u32, layout: fn(&[u32]) -> Vec<u8>) {
    let control = world.connect(number, NAT);
    world.observe(control, Side::Client, &layout(&[0xc0de_0000 + number]));
    world.observe(control, Side::Agent, &layout(&[0xa9e1_0000 + number]));
    let port = 5000 + number;
    let (up, down) = (candidates(0xc0de_0000 + number, 1), candidates(0xa9e1_0000 + number, 1));
    assert_eq!(world.send(Side::Client, &format!("{NAT}:{port}"), up), Ok(agent(number)));
    let client = Ok(address(&format!("{NAT}:{port}")));
    assert_eq!(world.send(Side::Agent, &agent(number).to_string(), down), client);
}

fn place(world: &World) -> &Place {
    &world.admission.by_address[&(Side::Client, ip(NAT))]
}

#[test]
fn a_datagram_is_compared_with_few_of_the_sessions_at_its_address() {
    for layout in [bytes, chunks] {
        let mut world = crowd(100, layout);
        world.announce(100).unwrap();
        world.admit(100, NAT).unwrap();

        let known = place(&world).candidates(candidates(0xc0de_0007, 1));
        let swapped = place(&world).candidates(candidates(0xc0de_0007_u32.swap_bytes(), 1));
        let unknown = place(&world).candidates(candidates(0xdddd, 0xeeee));

        let slots = |slots: &[u32]| slots.iter().copied().map(Slot).collect();
        assert_eq!(known, slots(&[7, 100]));
        assert_eq!(swapped, slots(&[7, 100]));
        assert_eq!(unknown, slots(&[100]));
    }
}

#[test]
fn a_guess_among_many_is_corrected() {
    for layout in [bytes, chunks] {
        let mut world = World::new(60);
        for number in 0..50 {
            world.connect(number, NAT);
            let from = format!("{NAT}:{}", 5000 + number);
            let up = candidates(0xc0de_0000 + number, 1);
            assert_eq!(world.send(Side::Client, &from, up), Ok(agent(number)));
        }
        let owner = world.connect(50, NAT);

        world.observe(owner, Side::Client, &layout(&[0xc0de_0030]));

        let sent = world.send(Side::Client, &format!("{NAT}:5048"), candidates(0xc0de_0030, 2));
        assert_eq!(sent, Ok(agent(50)));
        let kept = world.send(Side::Client, &format!("{NAT}:5047"), candidates(0xc0de_002f, 2));
        assert_eq!(kept, Ok(agent(47)));
    }
}

#[test]
fn an_address_without_sessions_is_forgotten() {
    let mut world = crowd(3, chunks);
    for number in 0..3 {
        let control = world.admit(number, "192.0.2.9").unwrap();
        world.close(control);
    }
    assert!(!world.routes.read().expects(Side::Client, ip(NAT)));

    world.wait(301);
    world.wait(301);

    assert!(world.admission.by_address.is_empty());
    assert_eq!(world.routes, Routes::default());
}
