//! Datagrams that the kernel passes on in trains, several workers, and several local addresses.

use std::net::{IpAddr, Ipv4Addr};

use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};

use super::*;

/// Length of the datagrams of a train.
const SEGMENT: usize = 1000;

/// Announces a session and starts it; the result keeps it open.
async fn session(world: &World, number: u8, agent: &Agent) -> TlsStream<TcpStream> {
    world.announce(number, agent.address).await;
    let mut control = world.connect().await;
    let hello = hello(number, spi(number));
    control.write_all(&hello).await.unwrap();
    read(&mut control, hello.len()).await;
    control
}

fn spi(number: u8) -> [u8; 4] {
    [b's', b'p', b'i', number]
}

/// Datagrams of one session, each with its number; the last one is shorter.
fn train(number: u8, datagrams: u8) -> Vec<u8> {
    let datagram = |index| [&spi(number)[..], &[index; SEGMENT - 4]].concat();
    let bytes: Vec<u8> = (0..datagrams).flat_map(datagram).collect();
    bytes[..bytes.len() - 100].to_vec()
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = soon(socket.recv_from(&mut buffer)).await.unwrap();
    (buffer[..length].to_vec(), from)
}

#[tokio::test]
async fn trains_of_many_clients_arrive_as_their_datagrams_with_any_number_of_workers() {
    for workers in 1..=4 {
        let world = World::serving_with(LOOPBACK, workers).await;
        let gateway = world.address("pcoip", "udp");
        let mut sessions = Vec::new();
        for number in 1..=6 {
            let agent = Agent::start(&world.folder).await;
            let control = session(&world, number, &agent).await;
            let socket = client_socket().await;
            world.exchange(&socket, &spi(number)).await;
            // Further answers to this are still under way.
            while timeout(Duration::from_millis(50), socket.readable()).await.is_ok() {
                let _ = socket.try_recv(&mut [0; 16]);
            }
            sessions.push((number, control, socket));
        }

        for (number, _, socket) in &sessions {
            setsockopt(socket, UdpGsoSegment, &i32::try_from(SEGMENT).unwrap()).unwrap();
            socket.send_to(&train(*number, 8), gateway).await.unwrap();
        }

        for (number, _, socket) in &sessions {
            for expected in train(*number, 8).chunks(SEGMENT) {
                assert_eq!(receive(socket).await, (upper(expected), gateway), "{workers} workers");
            }
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn a_train_of_several_sessions_behind_one_address_reaches_each_agent() {
    let world = World::serving(LOOPBACK).await;
    let gateway = world.address("pcoip", "udp");
    let agents = [Agent::start(&world.folder).await, Agent::start(&world.folder).await];
    let _controls = [session(&world, 1, &agents[0]).await, session(&world, 2, &agents[1]).await];
    let socket = client_socket().await;
    for number in [1, 2] {
        world.exchange(&socket, &spi(number)).await;
    }
    while timeout(Duration::from_millis(50), socket.readable()).await.is_ok() {
        let _ = socket.try_recv(&mut [0; 16]);
    }

    let datagrams = [1, 1, 2, 1, 2, 2].map(|number| [&spi(number)[..], &[b'x'; 97]].concat());
    setsockopt(&socket, UdpGsoSegment, &101).unwrap();
    socket.send_to(&datagrams.concat(), gateway).await.unwrap();

    let mut received = Vec::new();
    for _ in &datagrams {
        received.push(receive(&socket).await.0);
    }
    received.sort();
    let mut expected = datagrams.map(|datagram| upper(&datagram));
    expected.sort();
    assert_eq!(received, expected);
    for connection in world.connections().await {
        // The rest are the first datagrams, of 4 bytes each.
        let rest = connection.traffic.unwrap().udp_to_agent.bytes - 3 * 101;
        assert_eq!(rest % 4, 0, "{connection:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn answers_leave_from_the_address_that_the_datagram_came_to() {
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let keys = format!("ListenAddress = {listen}\nUdpSourceAddress = 127.0.0.1:0");
        let world = World::serving(&keys).await;
        let agent = Agent::start(&world.folder).await;
        let _control = session(&world, 1, &agent).await;
        let socket = client_socket().await;
        let port = world.address("pcoip", "udp").port();

        // The control connection is at 127.0.0.1. The client changes its mind twice.
        for host in [9, 1, 7] {
            let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)), port);
            let datagram = [&spi(1)[..], &[host]].concat();
            socket.send_to(&datagram, at).await.unwrap();

            assert_eq!(receive(&socket).await, (upper(&datagram), at), "{listen}");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn clients_and_agents_of_both_families_are_relayed_to_each_other() {
    let world = World::serving("ListenAddress = [::]:0\nUdpSourceAddress = [::]:0").await;
    let port = world.address("pcoip", "udp").port();
    let mut sessions = Vec::new();
    for (number, client, agent) in [
        (1, "127.0.0.1", "127.0.0.1:0"),
        (2, "::1", "127.0.0.1:0"),
        (3, "127.0.0.1", "[::1]:0"),
        (4, "::1", "[::1]:0"),
    ] {
        let agent = Agent::start_at(&world.folder, agent).await;
        world.announce(number, agent.address).await;
        let gateway = SocketAddr::new(client.parse().unwrap(), port);
        let mut control = world.connect_to(gateway).await;
        let hello = hello(number, spi(number));
        control.write_all(&hello).await.unwrap();
        read(&mut control, hello.len()).await;
        let socket = UdpSocket::bind(SocketAddr::new(gateway.ip(), 0)).await.unwrap();
        sessions.push((number, gateway, socket, control));
    }

    for round in 0..3 {
        for (number, gateway, socket, _) in &sessions {
            let datagram = [&spi(*number)[..], &[round; 100]].concat();
            socket.send_to(&datagram, gateway).await.unwrap();
        }
        for (number, gateway, socket, _) in &sessions {
            let expected = upper(&[&spi(*number)[..], &[round; 100]].concat());
            assert_eq!(receive(socket).await, (expected, *gateway));
        }
    }
    world.stop().await;
}
