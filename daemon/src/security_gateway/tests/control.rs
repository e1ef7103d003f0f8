//! The control connection, from the client through the gateway to the agent.

use cmsg_proto::shares::{Order, Worth};

use super::*;
use crate::limiter::Limiter;

type Client = TlsStream<TcpStream>;
type AgentEnd = tokio_rustls::server::TlsStream<TcpStream>;

/// A client's control connection, and the agent's end of it.
async fn control(world: &World) -> (Client, AgentEnd) {
    let (certificate, key) = identity(&world.folder, "agent");
    let tls = TlsAcceptor::from(server_config(&certificate, &key, &Files::default()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.announce(1, listener.local_addr().unwrap()).await;
    let first = hello(1, *b"spi1");
    let mut client = world.connect().await;
    client.write_all(&first).await.unwrap();
    let (stream, _) = soon(listener.accept()).await.unwrap();
    let mut agent = soon(tls.accept(stream)).await.unwrap();
    let mut arrived = vec![0; first.len()];
    soon(agent.read_exact(&mut arrived)).await.unwrap();
    assert_eq!(arrived, first);
    (client, agent)
}

/// The size of the next record on the wire, without its header. Session tickets are skipped.
async fn record(stream: &mut TcpStream) -> u16 {
    loop {
        let mut header = [0; 5];
        soon(stream.read_exact(&mut header)).await.unwrap();
        let length = u16::from_be_bytes([header[3], header[4]]);
        soon(stream.read_exact(&mut vec![0; length.into()])).await.unwrap();
        if length > 1024 {
            return length;
        }
    }
}

/// Every session has such a future for as long as it lasts, which is most of its memory besides
/// the keys.
#[tokio::test]
async fn the_future_of_a_connection_is_small() {
    let world = World::new(LOOPBACK).await;
    let acceptor = &world.role.as_ref().unwrap().acceptor;
    let stream = TcpStream::connect(world.address("pcoip", "tcp")).await.unwrap();
    let peer = stream.local_addr().unwrap();
    let permit = Limiter::new(1, Order::SourceFirst).enter(peer.ip(), Worth::Idle).unwrap();

    let size = size_of_val(&acceptor.serve(stream, peer, permit));

    assert!(size <= 2048, "{size} bytes");
}

#[tokio::test]
async fn a_full_record_arrives_as_one() {
    let world = World::serving(LOOPBACK).await;
    let (mut client, mut agent) = control(&world).await;
    let block = [7; 16 * 1024];

    client.write_all(&block).await.unwrap();
    client.flush().await.unwrap();
    let up = record(agent.get_mut().0).await;
    agent.write_all(&block).await.unwrap();
    agent.flush().await.unwrap();
    let down = record(client.get_mut().0).await;

    // A byte for the type, and 16 for the tag (RFC 8446, section 5.2).
    assert_eq!((up, down), (16 * 1024 + 17, 16 * 1024 + 17));
    world.stop().await;
}

#[tokio::test]
async fn a_client_is_not_read_while_its_agent_does_not_read() {
    /// More than the buffers of all sockets have.
    const MOST: usize = 64 * 1024 * 1024;
    let world = World::serving(LOOPBACK).await;
    let (mut client, mut agent) = control(&world).await;

    let mut sent = 0;
    let block = [7; 64 * 1024];
    while sent < MOST
        && let Ok(written) = timeout(Duration::from_secs(1), client.write(&block)).await
    {
        sent += written.unwrap();
    }
    let blocked = sent < MOST;
    let rest = async {
        client.flush().await.unwrap();
        client.shutdown().await.unwrap();
    };
    let mut arrived = Vec::new();
    soon(async { tokio::join!(rest, agent.read_to_end(&mut arrived)) }).await.1.unwrap();

    assert!(blocked, "the gateway took {sent} bytes");
    assert_eq!((arrived.len(), arrived.iter().all(|byte| *byte == 7)), (sent, true));
    world.stop().await;
}

#[tokio::test]
async fn either_end_may_still_send_after_the_other_has_closed() {
    let world = World::serving(LOOPBACK).await;
    let (mut client, mut agent) = control(&world).await;
    client.write_all(b"last").await.unwrap();
    client.shutdown().await.unwrap();
    let mut last = Vec::new();
    soon(agent.read_to_end(&mut last)).await.unwrap();
    agent.write_all(b"still sending").await.unwrap();
    agent.shutdown().await.unwrap();
    let mut still = Vec::new();
    soon(client.read_to_end(&mut still)).await.unwrap();
    assert_eq!((&last[..], &still[..]), (&b"last"[..], &b"still sending"[..]));
    world.stop().await;

    let world = World::serving(LOOPBACK).await;
    let (mut client, mut agent) = control(&world).await;
    agent.shutdown().await.unwrap();
    assert!(is_closed(&mut client).await);
    client.write_all(b"still sending").await.unwrap();
    client.shutdown().await.unwrap();
    let mut still = Vec::new();
    soon(agent.read_to_end(&mut still)).await.unwrap();
    assert_eq!(still, b"still sending");
    world.stop().await;
}

#[tokio::test]
async fn every_byte_is_counted() {
    let world = World::serving(LOOPBACK).await;
    let (client, agent) = control(&world).await;
    let (up, down) = (vec![1; 300_000], vec![2; 200_000]);

    let (mut at_agent, mut at_client) = (vec![0; up.len()], vec![0; down.len()]);
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_agent, mut to_agent) = tokio::io::split(agent);
    soon(async {
        tokio::try_join!(
            async { to_client.write_all(&up).await.and(to_client.flush().await) },
            async { to_agent.write_all(&down).await.and(to_agent.flush().await) },
            from_agent.read_exact(&mut at_agent),
            from_client.read_exact(&mut at_client),
        )
    })
    .await
    .unwrap();

    let traffic = world.connections().await[0].traffic.unwrap();
    let first = hello(1, *b"spi1").len() as u64;
    assert_eq!((at_agent, at_client), (up, down));
    assert_eq!((traffic.tcp_to_agent, traffic.tcp_to_client), (300_000 + first, 200_000));
    world.stop().await;
}
