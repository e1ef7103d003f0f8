//! Agents and clients that are unreachable, break the connection, close one half, or stop reading.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use crate::{
    agents::{Agent, acceptor, agent, send},
    client::{Client, exchange, hello, udp},
    world::{Announced, World, soon},
};

/// An agent that does this after the handshake.
async fn speaking<F>(
    what: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> std::net::SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let tls = acceptor();
    agent(move |stream| {
        let (tls, what) = (tls.clone(), what.clone());
        async move {
            if let Ok(stream) = tls.accept(stream).await {
                what(stream).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_client_comes_again_when_its_agent_is_back() {
    let world = World::start("").await;
    let (tls, times) = (acceptor(), Arc::new(AtomicUsize::new(0)));
    let agent = agent(move |stream| {
        let (tls, times) = (tls.clone(), Arc::clone(&times));
        async move {
            // The first connection is closed, and the second one has no TLS.
            match times.fetch_add(1, Ordering::SeqCst) {
                0 => stream.set_zero_linger().unwrap(),
                1 => drop(tokio::io::AsyncWriteExt::write_all(&mut { stream }, b"busy").await),
                _ => {
                    let mut stream = tls.accept(stream).await.unwrap();
                    send(&mut stream, b"WELCOME").await.unwrap();
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            }
        }
    })
    .await;
    let announced = Announced::new(1, agent);
    world.announce(&announced).await;

    for refused in 1..3 {
        let mut client = Client::connect(&world).await;
        client.say(&hello(&announced, "spi1")).await;
        client.is_closed().await;
        world.until_state(&announced, "waiting").await;
        let warning = format!("Failed to connect to the agent session={}", announced.id);
        assert_eq!(world.log().matches(&warning).count(), refused);
    }

    let mut client = Client::connect(&world).await;
    client.say(&hello(&announced, "spi1")).await;
    assert_eq!(client.hear(7).await, b"WELCOME");
    assert_eq!(world.state(&announced).await, "connected");
    world.stop().await;
}

#[tokio::test]
async fn an_agent_that_breaks_off_ends_its_own_connection_only() {
    let world = World::start("").await;
    let breaking = speaking(|mut stream| async move {
        let first = stream.read(&mut [0; 256]).await.unwrap();
        assert!(first > 0);
        send(&mut stream, b"HELLO").await.unwrap();
        let _ = stream.read(&mut [0; 256]).await;
        stream.get_ref().0.set_zero_linger().unwrap();
    })
    .await;
    let there = Agent::start("-there").await;
    let (first, second) = (Announced::new(1, breaking), Announced::new(2, there.address));
    world.announce(&first).await;
    world.announce(&second).await;
    let mut neighbour = Client::through(&world, &second, "spi2").await;

    let mut client = Client::connect(&world).await;
    client.say(&hello(&first, "spi1")).await;
    assert_eq!(client.hear(5).await, b"HELLO");
    client.say(b"and now").await;

    client.is_closed().await;
    world.until_state(&first, "waiting").await;
    world.until_logged(&format!("Control connection lost session={}", first.id)).await;
    neighbour.passes(b"still here").await;
    world.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_hears_the_agent_out_and_its_datagrams_go_on() {
    let world = World::start("").await;
    let udp_agent = Agent::start("-a").await;
    let announced = Announced::new(1, udp_agent.address);
    world.announce(&announced).await;
    let mut client = Client::through(&world, &announced, "spi1").await;
    let socket = udp("127.0.0.1").await;
    exchange(&world, &socket, b"spi1before").await;

    client.say(b"last words").await;
    soon(client.0.shutdown()).await.unwrap();
    client.answers(b"last words").await;
    client.is_closed().await;

    world.until_state(&announced, "waiting").await;
    world.until_logged(&format!("Control connection closed session={}", announced.id)).await;
    assert_eq!(exchange(&world, &socket, b"spi1after").await, "SPI1AFTER-a");
    world.stop().await;
}

#[tokio::test]
async fn an_agent_that_closes_its_half_hears_the_client_out() {
    let world = World::start("").await;
    let (heard, mut words) = tokio::sync::mpsc::unbounded_channel();
    let closing = speaking(move |mut stream| {
        let heard = heard.clone();
        async move {
            send(&mut stream, b"BYE").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            heard.send(rest).unwrap();
        }
    })
    .await;
    let announced = Announced::new(1, closing);
    world.announce(&announced).await;
    let mut client = Client::connect(&world).await;
    let first = hello(&announced, "spi1");
    client.say(&first).await;
    assert_eq!(client.hear(3).await, b"BYE");
    client.is_closed().await;

    client.say(b"one more thing").await;
    soon(client.0.shutdown()).await.unwrap();

    assert_eq!(soon(words.recv()).await.unwrap(), [&first[..], b"one more thing"].concat());
    world.until_state(&announced, "waiting").await;
    world.stop().await;
}

/// Bytes that an agent sends to a client that does not read.
const MUCH: usize = 48 * 1024 * 1024;

/// Maximum number of bytes that the kernel buffers on both connections.
const KEPT: usize = 24 * 1024 * 1024;

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_its_agent_and_nobody_else() {
    let world = World::start("").await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let talking = speaking(move |mut stream| {
        let count = Arc::clone(&count);
        async move {
            let piece = [b'!'; 64 * 1024];
            while count.load(Ordering::SeqCst) < MUCH {
                if send(&mut stream, &piece).await.is_err() {
                    return;
                }
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let there = Agent::start("-there").await;
    let (first, second) = (Announced::new(1, talking), Announced::new(2, there.address));
    world.announce(&first).await;
    world.announce(&second).await;
    let mut slow = Client::connect(&world).await;
    slow.say(&hello(&first, "spi1")).await;
    let mut neighbour = Client::through(&world, &second, "spi2").await;

    // The agent is blocked if it makes no progress while others send much.
    let mut before = usize::MAX;
    while before != sent.load(Ordering::SeqCst) || before == 0 {
        before = sent.load(Ordering::SeqCst);
        for _ in 0..100 {
            neighbour.passes(b"meanwhile").await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    assert!(before < KEPT, "{before} bytes are on their way");
    let mut heard = 0;
    let mut buffer = vec![0; 64 * 1024];
    while let length @ 1.. = soon(slow.0.read(&mut buffer)).await.unwrap() {
        assert!(buffer[..length].iter().all(|byte| *byte == b'!'));
        heard += length;
    }
    assert_eq!(heard, MUCH);
    world.stop().await;
}
