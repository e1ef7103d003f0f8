//! How ended and continued sessions are reported.

use cmsg_config::socket::Usage;

use crate::{
    agents::Agent,
    client::{Client, chunks, exchange, udp},
    world::{Announced, World},
};

/// `Bye` in the documented layout.
const BYE: &[u8] = b"\0\0\0\0\0\0\0\x18ssig\0\0\0\x04\0\0\0\x04byec\0\0\0\x04\0\0\0\0";

#[tokio::test]
async fn a_session_whose_client_said_bye_is_not_in_use_and_can_be_resumed() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut client = Client::connect(&world).await;
    client.passes(&chunks(&announced, "spi1")).await;
    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1first").await;
    assert_eq!(world.status().await.usage, Some(Usage { in_use: 1, resumable: 0 }));

    client.passes(BYE).await;

    world.until_usage(Usage { in_use: 0, resumable: 1 }).await;
    assert_eq!(world.state(&announced).await, "connected", "nobody closed TCP");
    drop(client);
    world.until_state(&announced, "waiting").await;
    assert_eq!(world.status().await.usage, Some(Usage { in_use: 0, resumable: 1 }));

    let mut again = Client::connect(&world).await;
    again.passes(&chunks(&announced, "spi2")).await;
    assert_eq!(world.status().await.usage, Some(Usage { in_use: 1, resumable: 0 }));
    assert_eq!(world.status().await.sessions, 1);
    world.stop().await;
}

#[tokio::test]
async fn datagrams_after_a_bye_keep_a_session_in_use() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut client = Client::connect(&world).await;
    client.passes(&chunks(&announced, "spi1")).await;
    client.passes(BYE).await;
    world.until_usage(Usage { in_use: 0, resumable: 1 }).await;
    drop(client);

    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1first").await;

    assert_eq!(world.status().await.usage, Some(Usage { in_use: 1, resumable: 0 }));
    world.stop().await;
}

#[tokio::test]
async fn a_session_without_any_sign_of_its_client_is_not_in_use_after_udp_idle() {
    let world = World::start("UdpIdleSeconds = 1").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let client = Client::through(&world, &announced, "spi1").await;
    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1first").await;

    drop(client);

    world.until_usage(Usage { in_use: 0, resumable: 1 }).await;
    assert_eq!(world.state(&announced).await, "waiting");
    world.stop().await;
}
