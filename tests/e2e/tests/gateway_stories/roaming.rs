//! Clients whose address changes during a session.

use crate::{
    agents::Agent,
    client::{Client, exchange, received, udp},
    world::{Announced, World},
};

#[tokio::test]
async fn a_clients_new_port_takes_the_flow_along() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut control = Client::through(&world, &announced, "spi1").await;
    let (old, new) = (udp("127.0.0.1").await, udp("127.0.0.1").await);
    exchange(&world, &old, b"spi1old").await;

    assert_eq!(exchange(&world, &new, b"spi1new").await, "SPI1NEW-a");
    for _ in 0..20 {
        assert_eq!(exchange(&world, &new, b"spi1again").await, "SPI1AGAIN-a");
    }

    assert_eq!(received(&old), Vec::<Vec<u8>>::new());
    control.passes(b"still here").await;
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_resumes_from_another_address_leaves_no_route_behind() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut home = Client::through(&world, &announced, "spi1").await;
    let (old, new) = (udp("127.0.0.1").await, udp("127.0.0.2").await);
    exchange(&world, &old, b"spi1home").await;

    let mut away = Client::through_from(&world, &announced, "spi1", "127.0.0.2").await;
    home.is_closed().await;
    let (came, before) = (agent.datagrams(), world.turned_away().await.datagrams);
    for _ in 0..10 {
        old.send_to(b"spi1home", world.gateway).await.unwrap();
    }
    world.until_turned_away(|turned| turned.datagrams.unknown == before.unknown + 10).await;

    assert_eq!(agent.datagrams(), came);
    assert_eq!(exchange(&world, &new, b"spi1away").await, "SPI1AWAY-a");
    assert_eq!(received(&old), Vec::<Vec<u8>>::new());
    away.passes(b"and more").await;
    world.stop().await;
}

#[tokio::test]
async fn a_neighbours_datagrams_divert_nothing_while_the_client_speaks() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let _control = Client::through(&world, &announced, "spi1").await;
    let (client, neighbour) = (udp("127.0.0.1").await, udp("127.0.0.1").await);
    exchange(&world, &client, b"spi1").await;
    let before = world.turned_away().await.datagrams.unknown;

    for round in 1..=20 {
        neighbour.send_to(b"spi1", world.gateway).await.unwrap();
        world.until_turned_away(|turned| turned.datagrams.unknown == before + round).await;
        assert_eq!(exchange(&world, &client, b"spi1").await, "SPI1-a");
    }

    assert_eq!(received(&neighbour), Vec::<Vec<u8>>::new());
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_paused_is_back_whoever_spoke_meanwhile() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let _control = Client::through(&world, &announced, "spi1").await;
    let (client, neighbour) = (udp("127.0.0.1").await, udp("127.0.0.1").await);
    exchange(&world, &client, b"spi1").await;
    // Waits until the client has been silent for long enough.
    exchange(&world, &neighbour, b"spi1").await;

    exchange(&world, &client, b"spi1").await;
    received(&neighbour);
    let before = world.turned_away().await.datagrams.unknown;
    neighbour.send_to(b"spi1", world.gateway).await.unwrap();
    world.until_turned_away(|turned| turned.datagrams.unknown == before + 1).await;
    assert_eq!(exchange(&world, &client, b"spi1").await, "SPI1-a");

    assert_eq!(received(&neighbour), Vec::<Vec<u8>>::new());
    world.stop().await;
}
