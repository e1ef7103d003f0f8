//! Many connections: those without a session are limited by address, and all are cleaned up.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{io::AsyncReadExt as _, runtime::Handle, task::yield_now, time::timeout};

use crate::{
    agents::Agent,
    client::{Client, hello, tcp},
    world::{Announced, PATIENCE, World, soon},
};

/// Maximum number of connections without a session, from any number of addresses.
const UNADMITTED: usize = 4096;
const ADDRESSES: usize = 8;

#[tokio::test]
async fn a_crowd_without_sessions_keeps_nobody_out_and_ends_no_session() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let world = World::start("TlsHandshakeSeconds = 300").await;
    let agent = Agent::start("-a").await;
    let [kept, announced] = [1, 2].map(|number| Announced::new(number, agent.address));
    world.announce(&kept).await;
    world.announce(&announced).await;
    let mut admitted = Client::through(&world, &kept, "spi1").await;
    let mut crowd = Vec::new();
    for number in 0..UNADMITTED {
        crowd.push(tcp(&world, &format!("127.0.1.{}", number % ADDRESSES)).await);
    }

    let mut newcomer = Client::through_from(&world, &announced, "spi2", "127.0.0.2").await;
    newcomer.passes(b"in spite of the crowd").await;
    world.until_turned_away(|turned| turned.clients.crowded >= 1).await;
    world.until_logged("too many connections without a session").await;
    assert!(world.turned_away().await.clients.crowded < 10, "as many as had to give way");
    let first = soon(crowd[0].read(&mut [0; 1])).await;
    assert!(matches!(first, Ok(0) | Err(_)), "the oldest is closed: {first:?}");

    // An address with more connections than the others only loses its own.
    for _ in 0..20 {
        crowd.push(tcp(&world, "127.0.1.0").await);
    }
    newcomer = Client::through_from(&world, &announced, "spi2", "127.0.0.2").await;
    newcomer.passes(b"again").await;
    admitted.passes(b"all the time").await;
    drop(crowd);
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
            // Closed before the tag, with it, or after a response; with or without close_notify.
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

/// Number of connections with one of these ports that a process still holds.
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
        // Established, or only closed by the other end.
        ["01", "08"].contains(&state) && ports.iter().any(ends_so)
    };
    table.lines().filter(is_open).count()
}
