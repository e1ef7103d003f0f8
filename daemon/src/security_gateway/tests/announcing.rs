//! Which announcements are accepted, and which ports are bound.

use super::*;

fn refusal(body: &str) -> String {
    match Reply::parse(body.as_bytes()) {
        Ok(Reply::Refused { reason }) => reason,
        other => panic!("{other:?}: {body}"),
    }
}

fn agent() -> SocketAddr {
    "127.0.0.1:4172".parse().unwrap()
}

#[tokio::test]
async fn an_accepted_announcement_returns_tag_and_server_name() {
    let world = World::serving(LOOPBACK).await;
    let announced = announcement(1, agent());

    let (status, body) = world.post(&world.token(&announced, 1), &announced.render()).await;

    assert_eq!(status, 200);
    let Ok(Reply::Accepted { rtag, sg_sni }) = Reply::parse(body.as_bytes()) else {
        panic!("{body}");
    };
    assert_eq!((rtag.expose(), sg_sni.as_str()), (tag(1).expose(), "pcoip-default-sg-sni"));
    let connections = world.connections().await;
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].id, "0b1c2d3e-0000-4000-8000-000000000001");
    assert_eq!(connections[0].state, "announced");
    world.stop().await;
}

#[tokio::test]
async fn a_forged_expired_misdirected_or_replayed_token_is_refused() {
    let world = World::serving(LOOPBACK).await;
    let announced = announcement(1, agent());
    let body = announced.render();
    let gateway = EXTERNAL.parse().unwrap();
    let signed = |claims: &Claims| world.signer.sign(claims).unwrap();
    let claims = Claims::of(&announced, gateway, [9; 16], clock::wall());
    let old = clock::wall() - Duration::from_secs(100);
    let elsewhere = Claims::of(&announced, "192.0.2.1".parse().unwrap(), [9; 16], clock::wall());
    let forged = {
        let folder = tempfile::tempdir().unwrap();
        let (_, key) = identity(&folder, "other");
        Signer::load(&key).unwrap().sign(&claims).unwrap()
    };
    let table = [
        ("a.b.c".to_owned(), "reading the token"),
        (forged, "the token is not signed with a known key"),
        (
            signed(&Claims::of(&announced, gateway, [9; 16], old)),
            "the token has expired: it was signed 10",
        ),
        (signed(&elsewhere), "the token is for gateway 192.0.2.1"),
        (world.token(&announcement(2, agent()), 9), "the token is for another announcement"),
    ];
    for (token, why) in table {
        let (status, answer) = world.post(&token, &body).await;
        assert_eq!(status, 401, "{why}");
        assert!(refusal(&answer).starts_with(why), "{why}: {answer}");
    }
    assert_eq!(world.connections().await, []);

    let token = signed(&claims);
    assert_eq!(world.post(&token, &body).await.0, 200);
    let (status, answer) = world.post(&token, &body).await;
    assert_eq!((status, refusal(&answer).as_str()), (401, "the token was used before"));
    assert_eq!(world.post(&world.token(&announced, 8), &body).await.0, 200, "a retry signed anew");
    assert_eq!(world.connections().await.len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn a_request_without_token_or_message_is_refused() {
    let world = World::serving(LOOPBACK).await;
    let announced = announcement(1, agent());

    let bare = "POST /pcoip-sg/xml HTTP/1.0\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (status, answer) = world.ask(bare).await;
    assert_eq!((status, refusal(&answer).as_str()), (401, "the announcement has no token"));

    let (status, answer) = world.post(&world.token(&announced, 1), "<x/>").await;
    let why = "the message is not an `add-connection` of `pcoip-sg` 1.0";
    assert_eq!((status, refusal(&answer).as_str()), (400, why));

    let (status, _) = world.post(&world.token(&announced, 1), &"x".repeat(40_000)).await;
    assert_eq!(status, 413);
    for (length, status) in [(1536, 404), (1537, 413)] {
        let grant = "x".repeat(length);
        let head = "POST /pcoip-sg/grant HTTP/1.0";
        let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{grant}");
        assert_eq!(world.ask(request).await.0, status, "{length} bytes");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_agent_address_of_the_gateway_is_refused() {
    let everywhere = "ListenAddress = [::]:0\nUdpSourceAddress = [::]:0\nAllowedAgents = 0.0.0.0/0";
    let world = World::serving(everywhere).await;
    let own = world.address("pcoip", "tcp").port();
    let why = "the agent's address is the gateway's own";
    let table = [
        ("127.0.0.1", own, Some(why)),
        ("127.0.0.9", own, Some(why)),
        (EXTERNAL, own, Some(why)),
        ("192.0.2.1", own, None),
        ("127.0.0.1", own ^ 1, None),
        (EXTERNAL, own ^ 1, None),
    ];
    for (number, (ip, port, refused)) in (1..).zip(table) {
        let announced = announcement(number, SocketAddr::new(ip.parse().unwrap(), port));
        let (status, body) =
            world.post(&world.token(&announced, number), &announced.render()).await;

        match refused {
            Some(why) => assert_eq!((status, refusal(&body).as_str()), (400, why), "{ip}:{port}"),
            None => assert_eq!(status, 200, "{ip}:{port}: {body}"),
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn local_and_link_local_agents_are_refused_unless_allowed() {
    let world = World::serving(&format!("{LOOPBACK}AllowedAgents = 127.0.0.2")).await;
    let table = [
        ("127.0.0.1:22", Some("a loopback address")),
        ("[::1]:22", Some("a loopback address")),
        ("[::ffff:127.0.0.1]:22", Some("a loopback address")),
        ("[64:ff9b::127.0.0.1]:22", Some("a loopback address")),
        ("[2002:7f00:1::]:22", Some("a loopback address")),
        ("169.254.169.254:80", Some("a link-local address")),
        ("[fe80::1]:4172", Some("a link-local address")),
        ("203.0.113.7:443", Some("the gateway's own")),
        ("127.0.0.2:22", None),
        ("192.0.2.1:22", None),
    ];
    for (number, (agent, kind)) in (1..).zip(table) {
        let announced = announcement(number, agent.parse().unwrap());

        let (status, body) =
            world.post(&world.token(&announced, number), &announced.render()).await;

        let ip = announced.agent.ip().to_canonical();
        let why = |kind| {
            format!(
                "the agent's address {ip} is {kind}, and `AllowedAgents` (`--allowed-agents`) \
                 lacks it"
            )
        };
        match kind {
            Some(kind) => assert_eq!((status, refusal(&body)), (403, why(kind)), "{agent}"),
            None => assert_eq!(status, 200, "{agent}: {body}"),
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn no_more_sessions_than_allowed_are_announced() {
    let world = World::serving(&format!("{LOOPBACK}MaxConnections = 1")).await;
    world.announce(1, agent()).await;
    let second = announcement(2, agent());
    let why = "the session limit of the gateway is reached";

    let (status, answer) = world.post(&world.token(&second, 2), &second.render()).await;

    assert_eq!((status, refusal(&answer).as_str()), (503, why));
    let status = world.status().await;
    assert_eq!((status.ready, status.reason.as_deref(), status.sessions), (false, Some(why), 1));
    world.stop().await;
}

#[tokio::test]
async fn a_gateway_is_ready_below_its_session_limit() {
    let world = World::serving(&format!("{LOOPBACK}MaxConnections = 2")).await;
    world.announce(1, agent()).await;

    let status = world.status().await;

    assert_eq!((status.ready, status.reason, status.sessions), (true, None, 1));
    world.stop().await;
}

#[tokio::test]
async fn tcp_and_udp_share_a_free_port() {
    let world = World::new(LOOPBACK).await;

    assert_eq!(world.address("pcoip", "tcp"), world.address("pcoip", "udp"));
    assert_ne!(world.address("pcoip", "udp"), world.address("udp-source", "udp"));
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_its_key() {
    let world = World::new(LOOPBACK).await;
    let (taken, source) = (world.address("pcoip", "tcp"), world.address("udp-source", "udp"));
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let half = udp.local_addr().unwrap();
    let table = [
        (format!("ListenAddress = {taken}"), format!("binding `ListenAddress` {taken} (TCP)")),
        (format!("ListenAddress = {half}"), format!("binding `ListenAddress` {half} (UDP)")),
        (
            format!("ListenAddress = 127.0.0.1:0\nUdpSourceAddress = {source}"),
            format!("binding `UdpSourceAddress` {source} (UDP)"),
        ),
    ];
    for (keys, why) in table {
        let error = bind(config(&world.folder, &keys)).await.unwrap_err();
        assert_eq!(error.to_string(), why);
        assert_eq!(error.root_cause().to_string(), "Address already in use (os error 98)");
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_socket_is_refused() {
    let world = World::new(LOOPBACK).await;

    let error = bind(config(&world.folder, LOOPBACK)).await.unwrap_err();

    let socket = world.folder.path().join("sg.sock");
    assert_eq!(error.to_string(), format!("binding `{}`", socket.display()));
}
