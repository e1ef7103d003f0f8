//! Clients behind one address, in every layout on port 4172. Simulated agents and clients check the
//! SPI and every byte of each datagram, so a misrouted one is reported.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
};

use pcoip_sim::{agent, client, client::SessionOptions, layout::Layout};

use crate::world::{Announced, World, soon};

const DATAGRAMS: u32 = 60;

/// Runs this many clients at once, with sessions at this many agents.
async fn neighbours(layout: Layout, agents: u32, clients: u32) {
    let world = World::start("").await;
    let mut hosts = Vec::new();
    for _ in 0..agents {
        hosts.push(start(layout).await);
    }
    let mut visits = Vec::new();
    for number in 0..clients {
        let host = &hosts[(number % agents) as usize];
        let tag = host.issue();
        let session =
            Announced { tag: tag.as_str().to_owned(), ..Announced::new(number, host.pcoip) };
        world.announce(&session).await;
        let gateway = world.gateway;
        let options = SessionOptions { layout, datagrams: DATAGRAMS, ..SessionOptions::default() };
        visits.push(tokio::spawn(async move { client::visit(gateway, tag, &options).await }));
    }

    for visit in visits {
        let (totals, _) = soon(visit)
            .await
            .expect("it does not panic")
            .expect("every datagram is answered rightly");
        assert!(totals.udp.to_client.datagrams >= u64::from(DATAGRAMS));
    }

    for mut host in hosts {
        host.stop().await;
        let mut sessions = BTreeSet::new();
        while let Ok(event) = host.events.try_recv() {
            match event {
                agent::Event::Violation { what } => panic!("{layout:?}: {what}"),
                agent::Event::Udp { from, session_id, .. } => {
                    assert_eq!(from, world.udp_source);
                    assert!(sessions.insert(session_id), "two flows of one session");
                }
                agent::Event::Totals { udp_rejected, .. } => assert_eq!(udp_rejected, 0),
                _ => {}
            }
        }
        assert_eq!(sessions.len(), (clients / agents) as usize, "every session had datagrams");
    }
    world.stop().await;
}

async fn start(layout: Layout) -> agent::Agent {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = agent::Options {
        listen: any,
        pcoip_listen: any,
        layout,
        transport_header: false,
        requires: agent::Requires::Nothing,
        expect: None,
    };
    agent::start(options).await.expect("the simulated agent starts")
}

#[tokio::test]
async fn two_clients_behind_one_address_reach_their_own_agents() {
    for layout in [Layout::Little, Layout::Big, Layout::Scrambled] {
        neighbours(layout, 2, 2).await;
    }
}

#[tokio::test]
async fn twenty_clients_behind_one_address_reach_their_own_agents_in_the_little_layout() {
    neighbours(Layout::Little, 4, 20).await;
}

#[tokio::test]
async fn twenty_clients_behind_one_address_reach_their_own_agents_in_the_big_layout() {
    neighbours(Layout::Big, 4, 20).await;
}

#[tokio::test]
async fn twenty_clients_behind_one_address_reach_their_own_agents_in_the_scrambled_layout() {
    neighbours(Layout::Scrambled, 4, 20).await;
}
