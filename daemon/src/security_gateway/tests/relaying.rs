//! Relaying of control bytes and datagrams.

use super::*;

#[tokio::test]
async fn an_announced_session_is_relayed_by_tcp_and_udp_in_both_directions() {
    let world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;
    let first = hello(1, *b"spi1");

    let mut control = world.connect().await;
    control.write_all(&first).await.unwrap();
    assert_eq!(read(&mut control, first.len()).await, upper(&first));
    control.write_all(b"and more").await.unwrap();
    assert_eq!(read(&mut control, 8).await, b"AND MORE");

    let socket = client_socket().await;
    assert_eq!(world.exchange(&socket, b"spi1hello").await, b"SPI1HELLO");
    assert_eq!(world.exchange(&socket, b"spi1again").await, b"SPI1AGAIN");

    let connections = world.connections().await;
    let traffic = connections[0].traffic.unwrap();
    assert_eq!(connections[0].state, "connected");
    assert_eq!(connections[0].client.as_deref(), Some("127.0.0.1"));
    assert_eq!(connections[0].agent, Some(agent.address.to_string()));
    let control_bytes = first.len() as u64 + 8;
    assert_eq!((traffic.tcp_to_agent, traffic.tcp_to_client), (control_bytes, control_bytes));
    assert!(traffic.udp_to_agent.datagrams >= 2, "{traffic:?}");
    assert_eq!(traffic.udp_to_client.bytes, traffic.udp_to_client.datagrams * 9);
    world.stop().await;
}

#[tokio::test]
async fn a_client_without_an_announced_tag_is_refused() {
    let world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;

    let mut wrong = world.connect().await;
    wrong.write_all(&hello(2, *b"spi1")).await.unwrap();
    // The gateway may close the connection before it has read everything.
    let _ = wrong.write_all(&[b'x'; 16 * 1024]).await;

    assert!(is_closed(&mut wrong).await);
    assert_eq!(world.connections().await[0].state, "announced");
    world.stop().await;
}

#[tokio::test]
async fn connections_without_tls_or_tag_time_out() {
    let keys = format!("{LOOPBACK}TlsHandshakeSeconds = 1\nTagSeconds = 1");
    let world = World::serving(&keys).await;
    let mut silent = TcpStream::connect(world.address("pcoip", "tcp")).await.unwrap();
    let mut tagless = world.connect().await;

    assert!(is_closed(&mut tagless).await);
    assert!(matches!(soon(silent.read(&mut [0; 16])).await, Ok(0) | Err(_)));
    world.stop().await;
}

#[tokio::test]
async fn datagrams_without_a_session_are_dropped() {
    let world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;
    world.announce(2, agent.address).await;
    let (mut first, mut second) = (world.connect().await, world.connect().await);
    for (control, hello) in [(&mut first, hello(1, *b"spi1")), (&mut second, hello(2, *b"spi2"))] {
        control.write_all(&hello).await.unwrap();
        read(control, hello.len()).await;
    }
    let socket = client_socket().await;

    socket.send_to(b"spi9stray", world.address("pcoip", "udp")).await.unwrap();
    assert_eq!(world.exchange(&socket, b"spi1mine").await, b"SPI1MINE");

    let counted = |number: &str| {
        let id = format!("0b1c2d3e-0000-4000-8000-{number:0>12}");
        let world = &world;
        async move {
            let connections = world.connections().await;
            let own = connections.into_iter().find(|connection| connection.id == id).unwrap();
            own.traffic.unwrap().udp_to_agent
        }
    };
    let own = counted("1").await;
    assert_eq!(own.bytes, own.datagrams * 8, "the stray has another size");
    assert_eq!(counted("2").await.datagrams, 0);
    world.stop().await;
}

#[tokio::test]
async fn datagrams_continue_after_the_control_connection_closes() {
    let world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;
    let mut control = world.connect().await;
    control.write_all(&hello(1, *b"spi1")).await.unwrap();
    read(&mut control, hello(1, *b"spi1").len()).await;
    let socket = client_socket().await;
    world.exchange(&socket, b"spi1one").await;

    control.shutdown().await.unwrap();
    assert!(is_closed(&mut control).await);
    world.until(|connection| connection.state == "waiting").await;

    assert_eq!(world.exchange(&socket, b"spi1two").await, b"SPI1TWO");
    world.stop().await;
}

#[tokio::test]
async fn a_client_resumes_with_the_same_tag_and_replaces_its_old_connection() {
    let world = World::serving(LOOPBACK).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;
    let mut old = world.connect().await;
    old.write_all(&hello(1, *b"spi1")).await.unwrap();
    read(&mut old, hello(1, *b"spi1").len()).await;

    let mut new = world.connect().await;
    new.write_all(&hello(1, *b"spi2")).await.unwrap();

    assert_eq!(read(&mut new, hello(1, *b"spi2").len()).await, upper(&hello(1, *b"spi2")));
    assert!(is_closed(&mut old).await);
    assert_eq!(world.connections().await[0].state, "connected");
    let socket = client_socket().await;
    assert_eq!(world.exchange(&socket, b"spi2new").await, b"SPI2NEW");
    world.stop().await;
}

#[tokio::test]
async fn a_client_whose_agent_is_unreachable_may_retry() {
    let world = World::serving(LOOPBACK).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    world.announce(1, gone).await;

    for _ in 0..2 {
        let mut control = world.connect().await;
        control.write_all(&hello(1, *b"spi1")).await.unwrap();
        assert!(is_closed(&mut control).await);
        world.until(|connection| connection.state == "waiting").await;
    }
    world.stop().await;
}

#[tokio::test]
async fn one_socket_serves_both_families() {
    let world = World::serving("ListenAddress = [::]:0\nUdpSourceAddress = [::]:0").await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;

    let mut control = world.connect().await;
    control.write_all(&hello(1, *b"spi1")).await.unwrap();
    read(&mut control, hello(1, *b"spi1").len()).await;
    let socket = client_socket().await;

    assert_eq!(world.exchange(&socket, b"spi1four").await, b"SPI1FOUR");
    assert_eq!(world.connections().await[0].client.as_deref(), Some("127.0.0.1"));
    world.stop().await;
}

#[tokio::test]
async fn sessions_end_at_the_configured_timeouts() {
    let (log, _guard) = logged();
    let keys = "AnnouncedSeconds = 1\nResumeSeconds = 1\nUdpIdleSeconds = 1";
    let world = World::serving(&format!("{LOOPBACK}{keys}")).await;
    let agent = Agent::start(&world.folder).await;
    world.announce(1, agent.address).await;
    let mut control = world.connect().await;
    control.write_all(&hello(1, *b"spi1")).await.unwrap();
    read(&mut control, hello(1, *b"spi1").len()).await;
    world.exchange(&client_socket().await, b"spi1hello").await;
    world.announce(2, agent.address).await;

    control.shutdown().await.unwrap();

    soon(async {
        while world.status().await.sessions > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let log = std::fs::read_to_string(log.path()).unwrap();
    for reason in ["reason=\"unused\"", "reason=\"resume timeout\""] {
        assert!(log.contains(reason), "{log}");
    }
    world.stop().await;
}
