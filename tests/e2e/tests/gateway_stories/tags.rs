//! Tags in pieces, tags surrounded by other bytes, and missing tags.

use tokio::io::AsyncWriteExt as _;

use crate::{
    agents::Agent,
    client::{Client, chunks, hello},
    world::{Announced, World},
};

async fn world(keys: &str) -> (World, Announced) {
    let world = World::start(keys).await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    (world, announced)
}

/// Checks that a client with these bytes is refused, and that the log has the reason.
async fn is_refused(world: &World, announced: &Announced, bytes: &[u8], why: &str) {
    let before = world.turned_away().await.clients.no_tag;
    let mut client = Client::connect(world).await;

    // The gateway may close the connection before it has read everything.
    let _ = client.0.write_all(bytes).await;
    client.is_closed().await;

    world.until_turned_away(|turned| turned.clients.no_tag == before + 1).await;
    world.until_logged(why).await;
    assert_eq!(world.state(announced).await, "announced");
}

#[tokio::test]
async fn who_shows_no_announced_tag_is_closed_after_tag_seconds() {
    let (world, announced) = world("TagSeconds = 1").await;
    let tag = announced.tag.as_bytes();
    let wrong = Announced { tag: announced.tag.replace("000001", "000002"), ..announced.clone() };
    let in_time = "Not admitted";

    for bytes in [
        &b""[..],
        b"GET / HTTP/1.1\r\n\r\n",
        &hello(&wrong, "spi1"),
        &chunks(&wrong, "spi1"),
        &tag[..tag.len() - 1],
        &tag[4..],
        &announced.tag.to_ascii_lowercase().into_bytes(),
    ] {
        is_refused(&world, &announced, bytes, in_time).await;
    }

    assert_eq!(world.log().matches("error=\"timed out waiting for a session tag").count(), 7);
    assert!(!world.log().contains(&announced.tag));
    let mut client = Client::connect(&world).await;
    client.passes(&hello(&announced, "spi1")).await;
    world.stop().await;
}

#[tokio::test]
async fn a_tag_behind_16_kibibytes_or_16_decoys_is_not_found() {
    let (world, announced) = world("TagSeconds = 1").await;
    let tag = announced.tag.as_bytes();

    let late = [&vec![b'x'; 16 * 1024 - tag.len() + 1], tag].concat();
    let why = "no announced session tag in the first 16384 bytes";
    is_refused(&world, &announced, &late, why).await;
    let decoys = [&b"SCS1".repeat(16), tag].concat();
    is_refused(&world, &announced, &decoys, "timed out waiting for a session tag").await;

    let just_found =
        [[&vec![b'x'; 16 * 1024 - tag.len()], tag].concat(), [&b"SCS1".repeat(15), tag].concat()];
    for first in just_found {
        let mut client = Client::connect(&world).await;
        client.passes(&first).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_parsed_tag_is_found_behind_any_number_of_decoys() {
    let (world, announced) = world("").await;
    let named = chunks(&announced, "spi1");
    // An unknown chunk full of decoys, before the chunk of the tag.
    let decoys = b"SCS1".repeat(400);
    let length = u32::try_from(decoys.len()).unwrap().to_be_bytes();
    let filler = [&b"fill"[..], &length, &decoys].concat();
    let (ssig, rest) = named[8..].split_at(12);
    let body = [ssig, &filler, rest].concat();
    let message = [&(body.len() as u64).to_be_bytes(), body.as_slice()].concat();

    let mut client = Client::connect(&world).await;

    client.passes(&message).await;
    world.stop().await;
}

#[tokio::test]
async fn a_tag_may_come_byte_by_byte() {
    let (world, announced) = world("").await;
    for first in [hello(&announced, "spi1"), chunks(&announced, "spi2")] {
        let mut client = Client::connect(&world).await;

        // Each byte is a separate TLS record.
        for byte in &first {
            client.say(&[*byte]).await;
        }

        client.answers(&first).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_tag_may_be_cut_anywhere() {
    let (world, announced) = world("").await;
    for first in [hello(&announced, "spi1"), chunks(&announced, "spi2")] {
        for cut in 1..first.len() {
            let mut client = Client::connect(&world).await;

            client.say(&first[..cut]).await;
            client.say(&first[cut..]).await;

            client.answers(&first).await;
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn the_tag_of_an_ended_session_lets_nobody_in() {
    let (world, announced) = world("AnnouncedSeconds = 1\nTagSeconds = 1").await;
    world.until_state(&announced, "gone").await;

    let mut client = Client::connect(&world).await;
    client.say(&hello(&announced, "spi1")).await;
    client.is_closed().await;

    world.until_turned_away(|turned| turned.clients.no_tag == 1).await;
    assert_eq!(world.connections().await, []);
    world.stop().await;
}

#[tokio::test]
async fn the_later_of_two_clients_with_one_tag_takes_over() {
    let (world, announced) = world("").await;
    let mut first = Client::through(&world, &announced, "spi1").await;

    let mut second = Client::through_from(&world, &announced, "spi2", "127.0.0.2").await;

    first.is_closed().await;
    second.passes(b"all mine").await;
    let connections = world.connections().await;
    assert_eq!(connections[0].client.as_deref(), Some("127.0.0.2"));
    assert_eq!(connections[0].state, "connected");
    world.until_logged(&format!("Control connection replaced session={}", announced.id)).await;
    world.stop().await;
}
