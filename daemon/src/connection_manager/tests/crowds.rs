//! More connections than the limit: newcomers are accepted, sessions survive, and load balancers
//! are answered.

use cmsg_config::socket::Status;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    HELLO, LOGON, agent, broker, document_of, hello, request,
    world::{WAIT, World},
};
use crate::{
    reload::Files,
    tls::{Trust, client_config},
};

const CONF: &str = "SecurityGatewayEnabled = false\nTlsHandshakeSeconds = 60\nHttpHeadSeconds = 60";
const NEWCOMER: &str = "127.0.0.2";

/// A Connection Manager with this limit of connections.
async fn world(places: usize) -> World {
    World::with(&format!("{CONF}\nMaxConnections = {places}"), broker, agent).await
}

async fn tcp(world: &World, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    socket.connect(world.address()).await.unwrap()
}

async fn tls(world: &World, from: &str) -> TlsStream<TcpStream> {
    let stream = tcp(world, from).await;
    let tls = TlsConnector::from(client_config(&Trust::Off, &Files::default()).unwrap());
    timeout(WAIT, tls.connect("localhost".try_into().unwrap(), stream)).await.unwrap().unwrap()
}

/// A connection with an incomplete request.
async fn slow_post(world: &World, from: &str) -> TlsStream<TcpStream> {
    slow_post_for(world, from, "").await
}

/// The same through a proxy, for this client.
async fn slow_post_for(world: &World, from: &str, client: &str) -> TlsStream<TcpStream> {
    let mut stream = tls(world, from).await;
    let head = format!(
        "POST /pcoip-broker/xml HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\
         Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    timeout(WAIT, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"<pcoip").await.unwrap();
    stream
}

/// Sends a request on an open connection; `None` if the connection is closed.
async fn ask(stream: &mut TlsStream<TcpStream>, cookie: &str, message: &str) -> Option<String> {
    let body = request(message);
    let length = body.len();
    let head = "POST /pcoip-broker/xml HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n";
    let text =
        format!("{head}Cookie: JSESSIONID={cookie}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n0\r\n\r\n") {
        match timeout(WAIT, stream.read_buf(&mut answer)).await.unwrap() {
            Ok(1..) => {}
            _ => return None,
        }
    }
    Some(String::from_utf8(answer).unwrap())
}

/// A connection with the session of a logged-on user.
async fn logged_on(world: &World, from: &str) -> (TlsStream<TcpStream>, String) {
    let cookie = hello(world).await;
    let mut stream = tls(world, from).await;
    let answer = ask(&mut stream, &cookie, LOGON).await.unwrap();
    assert!(answer.contains("AUTH_SUCCESSFUL_AND_COMPLETE"), "{answer}");
    (stream, cookie)
}

async fn is_answered(world: &World, from: &str) {
    let stream = tcp(world, from).await;
    let head = "Content-Type: text/xml\r\n";
    let hello = request(HELLO);
    let asked = world.http_over(stream, "POST /pcoip-broker/xml", head, &hello);
    let (head, _) = timeout(WAIT, asked).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

async fn is_closed(stream: &mut TcpStream) {
    let ended = timeout(WAIT, stream.read(&mut [0; 1])).await.unwrap();
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
}

async fn unserved(world: &World) -> cmsg_config::socket::Unserved {
    document_of::<Status>(world, "/status").await.unserved.unwrap()
}

#[tokio::test]
async fn silent_connections_of_one_address_block_nobody() {
    let world = world(8).await;
    let (mut kept, cookie) = logged_on(&world, "127.0.0.1").await;
    let mut silent = Vec::new();
    for _ in 0..24 {
        silent.push(tcp(&world, "127.0.0.1").await);
    }

    is_answered(&world, NEWCOMER).await;
    is_answered(&world, "127.0.0.1").await;

    is_closed(&mut silent[0]).await;
    assert!(ask(&mut kept, &cookie, LOGON).await.is_some(), "the session's connection stays");
    assert_eq!(unserved(&world).await.crowded, 0);
}

#[tokio::test]
async fn incomplete_requests_block_nobody() {
    let world = world(8).await;
    let (mut kept, cookie) = logged_on(&world, "127.0.0.1").await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(slow_post(&world, "127.0.0.1").await);
    }

    for _ in 0..3 {
        is_answered(&world, NEWCOMER).await;
    }

    assert!(ask(&mut kept, &cookie, LOGON).await.is_some());
    is_answered_at_last(slow.pop().unwrap()).await;
}

/// Completes a slow request, and checks that it is answered.
async fn is_answered_at_last(mut slow: TlsStream<TcpStream>) {
    slow.write_all(&[b' '; 994]).await.unwrap();
    let mut answer = [0; 12];
    timeout(WAIT, slow.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn behind_a_trusted_proxy_a_connection_counts_for_its_client() {
    let conf = format!("{CONF}\nMaxConnections = 8\nTrustedProxies = 127.0.0.1");
    let world = World::with(&conf, broker, agent).await;
    let other = slow_post_for(&world, "127.0.0.1", "203.0.113.9").await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(slow_post_for(&world, "127.0.0.1", "198.51.100.1").await);
    }

    is_answered(&world, "127.0.0.1").await;

    is_answered_at_last(other).await;
}

#[tokio::test]
async fn requests_without_a_session_are_small_and_a_users_may_be_large() {
    let world = world(8).await;
    let (_kept, cookie) = logged_on(&world, "127.0.0.1").await;
    let large = request(&format!("<other>{}</other>", "x".repeat(64 * 1024)));

    for (cookie, status) in [(None, "413"), (Some("0".repeat(32)), "413"), (Some(cookie), "200")] {
        let (head, _) = world.post(cookie.as_deref(), &large).await;
        assert_eq!(&head["HTTP/1.1 ".len()..][..3], status, "{cookie:?}");
    }
}

#[tokio::test]
async fn a_user_with_many_connections_blocks_nobody() {
    let world = world(8).await;
    let (mut first, cookie) = logged_on(&world, "127.0.0.1").await;
    let mut others = Vec::new();
    for _ in 0..12 {
        let mut stream = tls(&world, "127.0.0.1").await;
        assert!(ask(&mut stream, &cookie, LOGON).await.is_some());
        others.push(stream);
    }

    for _ in 0..8 {
        is_answered(&world, NEWCOMER).await;
    }

    assert!(ask(&mut others[11], &cookie, LOGON).await.is_some(), "the last one is kept");
    assert_eq!(ask(&mut first, &cookie, LOGON).await, None);
    assert_eq!(unserved(&world).await.crowded, 0);
}

#[tokio::test]
async fn many_addresses_with_a_few_connections_block_nobody() {
    let world = world(16).await;
    let mut crowd = Vec::new();
    for host in 10..18 {
        for _ in 0..4 {
            crowd.push(tcp(&world, &format!("127.0.0.{host}")).await);
        }
    }

    is_answered(&world, NEWCOMER).await;
    let (head, _) = world.http_over(tcp(&world, NEWCOMER).await, "GET /health", "", "").await;

    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    drop(crowd);
}

#[tokio::test]
async fn an_ended_session_does_not_protect_its_connection() {
    let world = world(1).await;
    let (mut left, cookie) = logged_on(&world, "127.0.0.1").await;
    assert!(ask(&mut left, &cookie, super::BYE).await.is_some());

    is_answered(&world, NEWCOMER).await;

    assert_eq!(ask(&mut left, &cookie, HELLO).await, None);
}

#[tokio::test]
async fn at_the_limit_health_is_answered_and_others_are_refused() {
    let world = world(1).await;
    let (first, _) = logged_on(&world, "127.0.0.1").await;

    let (head, content) = world.http("GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(content, r#"{"code":200,"status":"success"}"#);
    assert_eq!(unserved(&world).await.crowded, 0);
    let (head, _) = world.http("HEAD /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");

    for (number, what) in (1..).zip(["POST /pcoip-broker/xml", "POST /health", "GET /"]) {
        let (head, _) = world.http(what, "Content-Type: text/xml\r\n", &request(HELLO)).await;
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert_eq!(unserved(&world).await.crowded, number);
    }

    drop(first);
    let has_a_place =
        async { while !world.post(None, &request(HELLO)).await.0.starts_with("HTTP/1.1 200 ") {} };
    timeout(WAIT, has_a_place).await.unwrap();
}

#[tokio::test]
async fn silent_connections_above_the_limit_do_not_block_health_checks() {
    let world = world(1).await;
    let _first = logged_on(&world, "127.0.0.1").await;
    let mut held = Vec::new();
    for host in 10..18 {
        for _ in 0..16 {
            held.push(tcp(&world, &format!("127.0.0.{host}")).await);
        }
    }

    for from in ["127.0.0.1", NEWCOMER, "127.0.0.10"] {
        let (head, _) = world.http_over(tcp(&world, from).await, "GET /health", "", "").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{from}: {head}");
    }
    for stream in &mut held {
        is_closed(stream).await;
    }
}
