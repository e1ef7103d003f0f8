//! The HTTPS listener of a gateway without a Connection Manager on its host.

use super::*;

const ALONE: &str = "ListenAddress = 127.0.0.1:0\nUdpSourceAddress = 127.0.0.1:0\n\
                     HttpsListenAddress = 127.0.0.1:0\nTlsHandshakeSeconds = 1\n\
                     HttpHeadSeconds = 1\n";

impl World {
    /// Sends an HTTPS request; returns head and content of the response.
    async fn https(&self, what: &str, head: &str, body: &str) -> (String, String) {
        let tls = TlsConnector::from(client_config(&Trust::Off, &Files::default()).unwrap());
        let stream = TcpStream::connect(self.address("broker", "tcp")).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = soon(tls.connect(name, stream)).await.unwrap();
        let length = body.len();
        let request = format!(
            "{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
             {head}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), content.to_owned())
    }
}

fn agent() -> SocketAddr {
    "127.0.0.1:4172".parse().unwrap()
}

#[tokio::test]
async fn an_announcement_of_another_host_is_accepted_once() {
    let world = World::serving(ALONE).await;
    let announced = announcement(1, agent());
    let head = format!("Authorization: Bearer {}\r\n", world.token(&announced, 1));

    let (first, accepted) = world.https("POST /pcoip-sg/xml", &head, &announced.render()).await;
    let (second, refused) = world.https("POST /pcoip-sg/xml", &head, &announced.render()).await;

    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    assert!(first.contains("\r\nContent-Type: application/xml\r\n"), "{first}");
    let reply = Reply::parse(accepted.as_bytes());
    assert!(matches!(reply, Ok(Reply::Accepted { .. })), "{accepted}");
    assert!(second.starts_with("HTTP/1.1 401 "), "{second}");
    assert!(refused.contains("<reason>the token was used before</reason>"), "{refused}");
    let ids: Vec<_> = world.connections().await.into_iter().map(|c| c.id).collect();
    assert_eq!(ids, [announced.connection_id.as_str()]);
    world.stop().await;
}

#[tokio::test]
async fn health_reports_the_session_limit() {
    let world = World::serving(&format!("{ALONE}MaxConnections = 1")).await;

    let (head, content) = world.https("GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: application/json\r\n"), "{head}");
    assert_eq!(content, r#"{"code":200,"status":"success"}"#);

    world.announce(1, agent()).await;
    for path in ["GET /health", "GET /pcoip-sg/health"] {
        let (head, content) = world.https(path, "", "").await;
        assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
        assert_eq!(
            content,
            r#"{"code":503,"status":"Error","reason":"the session limit of the gateway is reached"}"#
        );
    }
    world.stop().await;
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let world = World::serving(ALONE).await;
    let large = "x".repeat(32 * 1024 + 1);
    let large_grant = &large[..1537];
    let table = [
        ("GET /", "", "404", None),
        ("POST /pcoip-broker/xml", "", "404", None),
        ("GET /status", "", "404", None),
        ("GET /connections", "", "404", None),
        ("GET /live", "", "404", None),
        ("GET /pcoip-sg/xml", "", "405", Some("\r\nAllow: POST\r\n")),
        ("GET /pcoip-sg/grant", "", "405", Some("\r\nAllow: POST\r\n")),
        ("POST /pcoip-sg/grant", "a.b.c", "404", None),
        ("POST /pcoip-sg/grant", large_grant, "413", None),
        ("GET /health/", "", "200", None),
        ("HEAD /health", "", "200", None),
        ("OPTIONS /health", "", "204", Some("\r\nAllow: GET, HEAD\r\n")),
        ("POST /health", "", "405", Some("\r\nAllow: GET, HEAD\r\n")),
        ("POST /pcoip-sg/health", "", "405", Some("\r\nAllow: GET, HEAD\r\n")),
        ("POST /pcoip-sg/xml", "<x/>", "401", None),
        ("POST /pcoip-sg/xml", &large, "413", None),
    ];
    for (what, body, status, allowed) in table {
        let (head, _) = world.https(what, "", body).await;

        assert_eq!(&head["HTTP/1.1 ".len()..][..3], status, "{what}");
        assert!(allowed.is_none_or(|allowed| head.contains(allowed)), "{head}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_silent_peer_is_disconnected() {
    let world = World::serving(ALONE).await;
    let mut silent = TcpStream::connect(world.address("broker", "tcp")).await.unwrap();
    let stream = TcpStream::connect(world.address("broker", "tcp")).await.unwrap();
    let tls = TlsConnector::from(client_config(&Trust::Off, &Files::default()).unwrap());
    let mut headless = tls.connect("localhost".try_into().unwrap(), stream).await.unwrap();

    assert_eq!(soon(silent.read(&mut [0; 1])).await.unwrap(), 0);
    assert!(is_closed(&mut headless).await);
    world.stop().await;
}

#[tokio::test]
async fn there_is_no_https_listener_beside_a_connection_manager() {
    let world = World::new(LOOPBACK).await;

    assert!(world.listens.iter().all(|listen| listen.key != "broker"));
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    identity(&folder, "tls");
    identity(&folder, "jwt");
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let keys = format!("{LOOPBACK}HttpsListenAddress = {address}");

    let error = bind(config(&folder, &keys)).await.unwrap_err();

    assert_eq!(error.to_string(), format!("binding `HttpsListenAddress` = `{address}`"));
}
