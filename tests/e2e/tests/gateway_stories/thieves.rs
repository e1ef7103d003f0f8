//! Agents that issue tags to get other agents' clients, and clients that send almost a tag.

use crate::{
    agents::Agent,
    client::{Client, chunks, hello},
    world::{Announced, World},
};

/// A tag with a realistic length.
const TAG: &str =
    "SCS1WsopFJ3iz1l48PTJ+2mQb7/xYkVd0eRnTgUa6LhCw9ZfX5oKpIuB3sJyEtMv4qNrDl8GzAc1jWiHOxP7";

fn with_tag(number: u32, agent: &Agent, tag: &str) -> Announced {
    Announced { tag: tag.to_owned(), ..Announced::new(number, agent.address) }
}

#[tokio::test]
async fn an_agent_that_issues_the_beginning_of_tags_gets_nobodys_client() {
    let world = World::start("TagSeconds = 1").await;
    let agent = Agent::start("-a").await;
    let beginnings = [4, 5, 19, 20, 40, TAG.len() - 9];
    let thefts: Vec<_> = (1..)
        .zip(beginnings)
        .map(|(number, length)| with_tag(number, &agent, &TAG[..length]))
        .collect();
    for theft in &thefts {
        world.announce(theft).await;
    }
    let stranger = with_tag(90, &agent, TAG);

    for (closed, first) in (1..).zip([hello(&stranger, "spi1"), chunks(&stranger, "spi1")]) {
        let mut client = Client::connect(&world).await;
        client.say(&first).await;
        client.is_closed().await;
        world.until_turned_away(|turned| turned.clients.no_tag == closed).await;
    }

    for theft in &thefts {
        assert_eq!(world.state(theft).await, "announced", "{}", theft.tag);
    }
    world.stop().await;
}

#[tokio::test]
async fn the_longest_of_the_announced_tags_that_fit_is_the_clients() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let theft = with_tag(1, &agent, &TAG[..TAG.len() - 1]);
    let own = with_tag(2, &agent, TAG);
    for announced in [&theft, &own] {
        world.announce(announced).await;
    }

    for first in [hello(&own, "spi1"), chunks(&own, "spi1"), own.tag.clone().into_bytes()] {
        let mut client = Client::connect(&world).await;
        // The longer tag is only complete with its last byte.
        let (most, last) = first.split_at(first.len() - 1);
        client.say(most).await;
        client.say(last).await;
        client.answers(&first).await;
    }

    assert_eq!(world.state(&theft).await, "announced");
    world.stop().await;
}

#[tokio::test]
async fn a_parsed_tag_has_to_be_the_announced_one() {
    let world = World::start("TagSeconds = 1").await;
    let agent = Agent::start("-a").await;
    let announced = with_tag(1, &agent, TAG);
    let short = with_tag(2, &agent, "SCS1");
    for announced in [&announced, &short] {
        world.announce(announced).await;
    }
    let wrong = [format!("{TAG}A"), format!("A{TAG}"), format!("{TAG}|"), "SCS1A".to_owned()];

    for (closed, tag) in (1..).zip(&wrong) {
        let mut client = Client::connect(&world).await;
        client.say(&chunks(&with_tag(9, &agent, tag), "spi1")).await;
        client.is_closed().await;
        world.until_turned_away(|turned| turned.clients.no_tag == closed).await;
    }

    // Complete tags belong to their clients, even short ones.
    for announced in [&announced, &short] {
        let mut client = Client::connect(&world).await;
        client.passes(&chunks(announced, "spi1")).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_tag_behind_a_parsed_message_without_one_is_found() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = with_tag(1, &agent, TAG);
    world.announce(&announced).await;
    let nameless = [&12_u64.to_be_bytes()[..], b"ssig\0\0\0\x04\0\0\0\x06"].concat();
    let first = [nameless, hello(&announced, "spi1")].concat();

    let mut client = Client::connect(&world).await;

    client.passes(&first).await;
    world.stop().await;
}
