//! Many connections: those without a session are limited by address, and none leaves anything behind.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{io::AsyncReadExt as _, runtime::Handle, task::yield_now, time::timeout};

use crate::{
    agents::Agent,
    client::{Client, hello, tcp},
    world::{Announced, PATIENCE, World, soon},
};

/// Connections of one address that may be without a session.
const FROM_ONE: usize = 512;

#[tokio::test]
async fn one_address_does_not_crowd_others_out() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let world = World::start("TlsHandshakeSeconds = 300").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let mut admitted = Client::through(&world, &announced, "spi1").await;
    let mut crowd = Vec::new();
    for _ in 0..FROM_ONE {
        crowd.push(tcp(&world, "127.0.0.1").await);
    }

    let mut one_more = tcp(&world, "127.0.0.1").await;
    assert!(matches!(soon(one_more.read(&mut [0; 1])).await, Ok(0) | Err(_)), "it is closed");
    world.until_turned_away(|turned| turned.clients.crowded == 1).await;
    world.until_logged("Too many connections without a session").await;

    admitted.passes(b"who has a session is none of them").await;
    let mut other = Client::through_from(&world, &announced, "spi1", "127.0.0.2").await;
    other.passes(b"from elsewhere").await;
    drop(crowd);
    world.until_turned_away(|turned| turned.clients.no_tls == FROM_ONE as u64).await;
    Client::through(&world, &announced, "spi1").await;
    assert_eq!(world.turned_away().await.clients.crowded, 1);
    world.stop().await;
}

#[tokio::test]
async fn two_hundred_connections_leave_nothing_behind() {
    let world = World::start("").await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    let ports = [world.gateway.port(), agent.address.port()];
    let idle = Handle::current().metrics().num_alive_tasks();
    assert_eq!(open(ports), 0);

    for number in 0..200 {
        let mut client = Client::connect(&world).await;
        match number % 4 {
            // Gone before the tag, with it, and after an answer; by TLS or without a word.
            0 => {}
            1 => client.say(&hello(&announced, "spi1")).await,
            2 => client.passes(&hello(&announced, "spi1")).await,
            _ => {
                client.passes(&hello(&announced, "spi1")).await;
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut client.0).await;
            }
        }
    }

    let settled = async {
        while Handle::current().metrics().num_alive_tasks() > idle || open(ports) > 0 {
            yield_now().await;
        }
    };
    let settled = timeout(PATIENCE, settled).await.is_ok();
    let tasks = Handle::current().metrics().num_alive_tasks();
    assert!(settled, "{tasks} tasks instead of {idle}, {} connections", open(ports));
    world.until_state(&announced, "waiting").await;
    Client::through(&world, &announced, "spi1").await;
    world.stop().await;
}

/// How many connections with one of these ports some process still holds.
fn open(ports: [u16; 2]) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has that file");
    let is_open = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let (Some(local), Some(remote), Some(state)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        let ends_so = |port: &u16| {
            let port = format!(":{port:04X}");
            local.ends_with(&port) || remote.ends_with(&port)
        };
        // Established, or closed by the other end only.
        ["01", "08"].contains(&state) && ports.iter().any(ends_so)
    };
    table.lines().filter(is_open).count()
}
