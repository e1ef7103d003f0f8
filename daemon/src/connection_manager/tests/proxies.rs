//! Clients behind proxies, and clients that claim to be.

use cmsg_config::socket::Connections;

use super::{
    HELLO, LOGON, agent, broker, document_of, logged, request,
    world::{ID, World},
};

const CONF: &str = "SecurityGatewayEnabled = false";
const TRUSTED: &str = "SecurityGatewayEnabled = false\nTrustedProxies = 10.0.0.0/8\n\
                       TrustedProxies = 127.0.0.1";

/// Opens a session with this header.
async fn hello(world: &World, forwarded: &str) -> String {
    let head = format!("CLIENT-LOG-ID: {ID}\r\nX-Forwarded-For: {forwarded}\r\n");
    let (head, _) = world.http("POST /pcoip-broker/xml", &head, &request(HELLO)).await;
    let (_, cookie) = head.split_once("Set-Cookie: JSESSIONID=").unwrap();
    cookie[..32].to_owned()
}

/// The client addresses that the broker received.
fn clients(world: &World) -> Vec<String> {
    let heard = world.broker.lock().unwrap();
    let posts = heard.iter().filter(|(_, _, body)| !body.is_empty());
    posts.map(|(_, headers, _)| headers["x-forwarded-for"].to_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_trusted_proxys_client_is_used_everywhere() {
    let (log, _guard) = logged();
    let world = World::with(TRUSTED, broker, agent).await;

    hello(&world, "192.0.2.1, 203.0.113.9:51324").await;
    hello(&world, "192.0.2.1, [2001:db8::7]:443, 10.0.0.7").await;

    assert_eq!(clients(&world), ["203.0.113.9", "2001:db8::7"]);
    let connections = document_of::<Connections>(&world, "/connections").await.connections;
    let clients: Vec<_> = connections.iter().map(|it| it.client.as_deref().unwrap()).collect();
    assert_eq!(clients, ["203.0.113.9", "2001:db8::7"]);
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains("Detected a new session from client at 203.0.113.9"), "{log}");
    assert!(!log.contains("X-Forwarded-For ignored"), "{log}");
}

#[tokio::test]
async fn a_client_cannot_claim_another_address() {
    let (log, _guard) = logged();
    let world = World::with(CONF, broker, agent).await;

    let cookie = hello(&world, "203.0.113.9").await;
    hello(&world, "203.0.113.9").await;
    world.post(Some(&cookie), &request(LOGON)).await;

    assert_eq!(clients(&world), ["127.0.0.1"; 3]);
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let line = "X-Forwarded-For ignored from 127.0.0.1, which is not in `TrustedProxies`";
    assert_eq!(log.matches(line).count(), 1, "{log}");
}

#[tokio::test]
async fn a_trusted_proxy_without_a_valid_address_is_logged_once() {
    let (log, _guard) = logged();
    let world = World::with(TRUSTED, broker, agent).await;

    for _ in 0..3 {
        hello(&world, "203.0.113.9, host.example").await;
    }

    assert_eq!(clients(&world), ["127.0.0.1"; 3]);
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let line = "X-Forwarded-For from trusted proxy 127.0.0.1 does not contain the client's IP \
                address";
    assert_eq!(log.matches(line).count(), 1, "{log}");
    assert!(log.contains("entry=\"host.example\""), "{log}");
}
