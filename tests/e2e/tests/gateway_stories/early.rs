//! Clients that connect before their announcement.

use crate::{
    agents::Agent,
    client::{Client, chunks, hello},
    world::{Announced, World},
};

/// Sends the tag, waits until the gateway has processed it, and then announces the session.
async fn comes_early(world: &World, announced: &Announced, first: &[u8]) {
    let mut early = Client::connect(world).await;
    early.say(first).await;
    // A later connection on the same socket is done, so the early one was processed.
    let other = Announced::new(900, announced.agent);
    world.announce(&other).await;
    Client::through(world, &other, "spi9").await;

    world.announce(announced).await;

    early.answers(first).await;
    early.passes(b"and more").await;
}

#[tokio::test]
async fn a_client_that_comes_before_its_announcement_is_let_in_with_it() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let session = |number, tag: &str| Announced {
        tag: format!("SCS1{tag}"),
        ..Announced::new(number, agent.address)
    };

    // One tag with the length of other announced tags, and one with a unique length.
    let as_long = Announced::new(1, agent.address);
    comes_early(&world, &as_long, &hello(&as_long, "spi1")).await;
    let longer = session(2, "longer-than-any-other-tag-of-these-stories");
    comes_early(&world, &longer, &hello(&longer, "spi2")).await;
    let named = Announced::new(3, agent.address);
    comes_early(&world, &named, &chunks(&named, "spi3")).await;
    // One that is only found in the documented layout, since it has no known prefix.
    let strange = Announced { tag: "another-tag".to_owned(), ..session(4, "") };
    comes_early(&world, &strange, &chunks(&strange, "spi4")).await;
    world.stop().await;
}

#[tokio::test]
async fn an_announcement_after_tag_seconds_is_too_late_for_the_connection_only() {
    let world = World::start("TagSeconds = 1").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    let mut early = Client::connect(&world).await;
    early.say(&hello(&announced, "spi1")).await;

    early.is_closed().await;
    world.announce(&announced).await;

    Client::through(&world, &announced, "spi1").await;
    world.stop().await;
}
