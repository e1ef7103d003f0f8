//! Sessions that time out, sessions that do not, and sessions that survive a restart.

use std::time::{Duration, Instant};

use crate::{
    agents::Agent,
    client::{Client, exchange, udp},
    world::{Announced, World},
};

#[tokio::test]
async fn a_session_whose_client_never_comes_ends_unused() {
    let world = World::start("AnnouncedSeconds = 1").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;

    world.until_state(&announced, "gone").await;

    let id = &announced.id;
    world.until_logged(&format!("Session closed session={id} reason=\"unused\"")).await;
    world.stop().await;
}

#[tokio::test]
async fn a_session_that_is_not_resumed_ends_with_its_figures() {
    let world = World::start("ResumeSeconds = 1\nUdpIdleSeconds = 1").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let control = Client::through(&world, &announced, "spi1").await;
    let said = crate::client::hello(&announced, "spi1").len();

    drop(control);
    world.until_state(&announced, "waiting").await;
    world.until_state(&announced, "gone").await;

    let ended = format!(
        "Session closed session={} reason=\"resume timeout\" udp_to_agent=0 udp_to_client=0 \
         tcp_to_agent={said} tcp_to_client={said}",
        announced.id
    );
    world.until_logged(&ended).await;
    world.stop().await;
}

#[tokio::test]
async fn a_session_without_a_control_connection_lives_as_long_as_its_datagrams() {
    let world = World::start("ResumeSeconds = 1\nUdpIdleSeconds = 2").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let control = Client::through(&world, &announced, "spi1").await;
    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1first").await;

    drop(control);
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert_eq!(exchange(&world, &socket, b"spi1more").await, "SPI1MORE-a");
    }
    assert_eq!(world.state(&announced).await, "waiting");

    world.until_state(&announced, "gone").await;
    world.stop().await;
}

#[tokio::test]
async fn a_session_goes_on_after_its_gateway_was_restarted() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut before = Client::through(&world, &announced, "spi1").await;
    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1before").await;

    let world = world.restart("").await;
    before.is_closed().await;
    assert_eq!(world.state(&announced).await, "waiting");
    // They are dropped until the client reconnects.
    socket.send_to(b"spi1meanwhile", world.gateway).await.unwrap();
    world.until_turned_away(|turned| turned.datagrams.unknown == 1).await;

    let mut after = Client::through(&world, &announced, "spi1").await;
    assert_eq!(exchange(&world, &socket, b"spi1after").await, "SPI1AFTER-a");
    after.passes(b"and more").await;
    assert_eq!(world.log().matches("Restored the sessions from before the restart").count(), 1);
    world.stop().await;
}
