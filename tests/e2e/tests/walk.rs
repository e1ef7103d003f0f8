//! A session through both roles, from hello to bye, in every layout on port 4172.

use std::collections::BTreeSet;

use cmsg_config::socket::{self, Connections, Role, Status};
use e2e::site::Site;
use pcoip_sim::{agent, broker, client, layout::Layout};

const ASK: std::time::Duration = std::time::Duration::from_secs(5);

async fn walk(layout: Layout) {
    let mut site = Site::start(layout).await;

    let report = client::walk(&site.client()).await;

    assert_eq!(report.error, None);
    assert!(report.ok);
    assert_eq!(report.traffic.udp.to_agent.datagrams, 100);
    assert_eq!(report.traffic.udp.to_client.datagrams, 100);
    let target = report.target.as_ref().expect("a session has a target");
    assert_eq!((target.ip, target.port), (site.gateway.ip(), site.gateway.port()));
    assert_eq!(target.sni, "pcoip-default-sg-sni");

    while let Ok(event) = site.broker.events.try_recv() {
        assert!(!matches!(event, broker::Event::Violation { .. }), "{event:?}");
    }
    let mut udp_sources = BTreeSet::new();
    while let Ok(event) = site.agent.events.try_recv() {
        match event {
            agent::Event::Violation { .. } => panic!("{event:?}"),
            agent::Event::Udp { from, .. } => drop(udp_sources.insert(from.port())),
            agent::Event::Connected { sni, .. } => assert_eq!(sni, None),
            _ => {}
        }
    }
    assert_eq!(udp_sources, BTreeSet::from([site.udp_source.port()]));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_walks_in_the_little_endian_layout() {
    walk(Layout::Little).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_walks_in_the_big_endian_layout() {
    walk(Layout::Big).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_walks_in_a_layout_that_nobody_described() {
    walk(Layout::Scrambled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sockets_tell_what_happened() {
    let site = Site::start(Layout::Little).await;

    let report = client::walk(&site.client()).await;
    let run = site.run().to_owned();
    let (manager, gateway, status) = tokio::task::spawn_blocking(move || {
        let connections = |role| socket::get::<Connections>(&run, role, "/connections", ASK);
        let status = socket::get::<Status>(&run, Role::Sg, "/status", ASK);
        (connections(Role::Cm).unwrap(), connections(Role::Sg).unwrap(), status.unwrap())
    })
    .await
    .unwrap();

    assert_eq!(report.error, None);
    let names: Vec<_> =
        manager.connections[0].exchanges.iter().map(|exchange| exchange.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "hello",
            "authenticate",
            "second-factor",
            "list",
            "allocate",
            "launch-session",
            "announce",
            "bye"
        ]
    );
    let session = &gateway.connections[0];
    assert_eq!(session.id, report.session_log_id);
    let traffic = session.traffic.expect("the gateway counts");
    assert!(traffic.udp_to_agent.datagrams >= 100 && traffic.udp_to_client.datagrams >= 100);
    assert!(traffic.tcp_to_agent > 0 && traffic.tcp_to_client > 0);
    assert_eq!((status.ready, status.sessions), (true, 1));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_behind_one_address_have_their_own_sessions() {
    for layout in [Layout::Little, Layout::Big, Layout::Scrambled] {
        let site = Site::start(layout).await;

        let (mut one, mut other) = (site.client(), site.client());
        one.session.datagrams = 300;
        other.session.datagrams = 300;
        let (one, other) = tokio::join!(client::walk(&one), client::walk(&other));

        assert_eq!((one.error, other.error), (None, None), "{layout:?}");
        site.stop().await;
    }
}
