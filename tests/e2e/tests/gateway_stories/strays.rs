//! Datagrams without a session, and datagrams to a closed port, do not affect sessions.

use std::{net::UdpSocket as Blocking, thread};

use tokio_util::sync::CancellationToken;

use crate::{
    agents::Agent,
    client::{Client, exchange, received, udp},
    world::{Announced, World, soon},
};

/// Maximum UDP payload over IPv4.
const LARGEST: usize = 65_507;

#[tokio::test]
async fn datagrams_of_nobody_reach_nobody_and_are_not_answered() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let _control = Client::through(&world, &announced, "spi1").await;
    let (own, near, far) = (udp("127.0.0.1").await, udp("127.0.0.1").await, udp("127.0.0.3").await);
    assert_eq!(exchange(&world, &own, b"spi1mine").await, "SPI1MINE-a");
    let (came, before) = (agent.datagrams(), world.turned_away().await.datagrams);

    let large = vec![b'z'; LARGEST];
    let unknown: [(_, &[u8]); 9] = [
        (&far, b""),
        (&far, b"spi"),
        (&far, b"spi1 of another address"),
        (&far, b"....spi1 of another address"),
        (&far, &large),
        (&near, b""),
        (&near, b"zzz"),
        (&near, b"zzzz an SPI that nobody told"),
        (&near, b"zzzzzzzz twice"),
    ];
    for (socket, datagram) in unknown {
        socket.send_to(datagram, world.gateway).await.unwrap();
    }
    near.send_to(&large, world.gateway).await.unwrap();
    // Only agents may send to this port.
    far.send_to(b"SPI1 to the client", world.udp_source).await.unwrap();
    world
        .until_turned_away(|turned| {
            let (now, then) = (turned.datagrams, before);
            now.unknown == then.unknown + 10 && now.undecided == then.undecided + 1
        })
        .await;

    assert_eq!(agent.datagrams(), came);
    assert_eq!(exchange(&world, &own, b"spi1after").await, "SPI1AFTER-a");
    for socket in [&own, &near, &far] {
        assert_eq!(received(socket), Vec::<Vec<u8>>::new());
    }
    world.until_logged("Dropped datagrams and refused clients so far").await;
    world.stop().await;
}

#[tokio::test]
async fn the_largest_datagram_goes_both_ways_unchanged() {
    let world = World::start("").await;
    let agent = Agent::start("").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let _control = Client::through(&world, &announced, "spi1").await;
    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1small").await;
    let mut large = b"spi1".to_vec();
    large.extend((b'a'..=b'z').cycle().take(LARGEST - 4));

    let answer = exchange(&world, &socket, &large).await;

    assert!(answer.as_bytes() == large.to_ascii_uppercase(), "{} bytes", answer.len());
    world.stop().await;
}

#[tokio::test]
async fn twenty_thousand_strays_do_not_stop_a_session() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut control = Client::through(&world, &announced, "spi1").await;
    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1before").await;
    let (far, gateway) = (udp("127.0.0.9").await, world.gateway);

    let flood = tokio::spawn(async move {
        for number in 0..20_000_u32 {
            let datagram = [&number.to_be_bytes()[..], &[0; 96]].concat();
            far.send_to(&datagram, gateway).await.unwrap();
        }
        far
    });
    for _ in 0..20 {
        control.passes(b"ping").await;
        assert_eq!(exchange(&world, &socket, b"spi1during").await, "SPI1DURING-a");
    }
    let far = soon(flood).await.unwrap();

    control.passes(b"after").await;
    assert_eq!(received(&far), Vec::<Vec<u8>>::new());
    let dropped = world.turned_away().await.datagrams;
    assert!((1..=20_010).contains(&dropped.unknown), "{dropped:?}");
    assert_eq!((dropped.undecided, dropped.failed), (0, 0));
    world.stop().await;
}

/// All tasks but the flood share one thread.
#[tokio::test]
async fn a_flood_without_a_pause_does_not_keep_a_control_connection_waiting() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut control = Client::through(&world, &announced, "spi1").await;
    let over = CancellationToken::new();
    let _guard = over.clone().drop_guard();
    let floods: Vec<_> = (0..4)
        .map(|_| {
            let (over, gateway) = (over.clone(), world.gateway);
            thread::spawn(move || {
                let far = Blocking::bind("127.0.0.9:0").unwrap();
                while !over.is_cancelled() {
                    let _ = far.send_to(b"flood of datagrams", gateway);
                }
            })
        })
        .collect();

    world.until_turned_away(|turned| turned.datagrams.unknown > 10_000).await;
    for _ in 0..10 {
        control.passes(b"ping").await;
    }

    over.cancel();
    floods.into_iter().for_each(|flood| flood.join().unwrap());
    world.stop().await;
}

#[tokio::test]
async fn ends_that_take_no_datagrams_any_more_disturb_no_other_session() {
    let world = World::start("").await;
    let (gone, there) = (Agent::start("-gone").await, Agent::start("-there").await);
    let sessions = [Announced::new(1, gone.address), Announced::new(2, there.address)];
    let mut controls = Vec::new();
    let sockets = [udp("127.0.0.1").await, udp("127.0.0.1").await];
    for ((session, spi), socket) in sessions.iter().zip(["spi1", "spi2"]).zip(&sockets) {
        world.announce(session).await;
        controls.push(Client::through(&world, session, spi).await);
        exchange(&world, socket, format!("{spi}first").as_bytes()).await;
    }
    let [first, second] = sockets;
    received(&second);

    // The kernel reports each rejected datagram to the gateway.
    gone.close_udp().await;
    for _ in 0..100 {
        first.send_to(b"spi1lost", world.gateway).await.unwrap();
        assert_eq!(exchange(&world, &second, b"spi2kept").await, "SPI2KEPT-there");
    }
    drop(first);
    for _ in 0..100 {
        assert_eq!(exchange(&world, &second, b"spi2kept").await, "SPI2KEPT-there");
    }

    assert_eq!(world.turned_away().await.datagrams.failed, 0);
    for control in &mut controls {
        control.passes(b"still here").await;
    }
    world.stop().await;
}
