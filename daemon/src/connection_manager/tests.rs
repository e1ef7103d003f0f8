//! A Connection Manager over real sockets, with scripted broker, agent and gateway.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use cmsg_config::socket::{self, Connections, Role, Status};
use http::StatusCode;
use serde::de::DeserializeOwned;
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tracing::{Metadata, level_filters::LevelFilter, subscriber::DefaultGuard};
use tracing_subscriber::{Layer as _, filter::filter_fn, layer::SubscriberExt as _};
use world::{ID, World, certificate, config, gateway_says};

use crate::token::Verifier;

mod brokers;
mod clock;
mod crowds;
mod forward;
mod gateways;
mod grants;
mod logons;
mod outages;
mod pivots;
mod proxies;
mod reloading;
mod restart;
mod world;

const HELLO: &str = "<hello><client-info><device-name>laptop</device-name></client-info></hello>";
const LOGON: &str = "<authenticate method=\"password\"><username>u</username>\
                     <password>p&amp;w</password><domain>d</domain></authenticate>";
const ALLOCATE: &str = "<allocate-resource><resource-id>1</resource-id><client-info>\
                        <mac-address>aa:bb</mac-address></client-info></allocate-resource>";
const BYE: &str = "<bye />";

fn request(message: &str) -> String {
    format!("<pcoip-client version=\"2.1\">{message}</pcoip-client>")
}

fn broker(body: &str) -> (StatusCode, String) {
    let table = [
        ("<hello>", "<hello-resp><brokers-info /><caps /></hello-resp>"),
        (
            "<authenticate",
            "<authenticate-resp><result><result-id>AUTH_SUCCESSFUL_AND_COMPLETE</result-id></result>\
             </authenticate-resp>",
        ),
        (
            "<allocate-resource>",
            "<allocate-resource-resp><result><result-id>ALLOC_SUCCESSFUL</result-id></result>\
             <target><ip-address>127.0.0.1</ip-address><hostname>localhost</hostname></target>\
             </allocate-resource-resp>",
        ),
        ("<bye", "<bye-resp />"),
    ];
    match table.iter().find(|(request, _)| body.contains(request)) {
        Some((_, response)) => {
            (StatusCode::OK, format!("<pcoip-broker version=\"2.1\">{response}</pcoip-broker>"))
        }
        None => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
    }
}

fn agent(_: &str) -> (StatusCode, String) {
    let response = "<pcoip-agent version=\"1.0\"><launch-session-resp><result-id>SUCCESSFUL</result-id>\
        <session-info><ip-address>10.0.0.5</ip-address><sni>desk</sni><port>4172</port>\
        <session-tag>SCS1tag</session-tag><session-id>7</session-id></session-info>\
        </launch-session-resp></pcoip-agent>";
    (StatusCode::OK, response.to_owned())
}

fn busy_agent(_: &str) -> (StatusCode, String) {
    let response = "<pcoip-agent version=\"1.0\"><launch-session-resp><result-id>FAILED_USER_AUTH\
        </result-id><fail-reason>no</fail-reason></launch-session-resp></pcoip-agent>";
    (StatusCode::OK, response.to_owned())
}

fn away(_: &str) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, String::new())
}

/// An agent on a host that accepts announcements too.
fn agent_and_gateway(body: &str) -> (StatusCode, String) {
    if body.contains("<pcoip-sg ") { gateway_says(body) } else { agent(body) }
}

async fn hello(world: &World) -> String {
    let (head, _) = world.post(None, &request(HELLO)).await;
    let (_, cookie) = head.split_once("Set-Cookie: JSESSIONID=").unwrap();
    cookie[..32].to_owned()
}

/// A document of the unix socket.
async fn document_of<T: DeserializeOwned + Send + 'static>(world: &World, path: &'static str) -> T {
    let run = world.run().to_owned();
    let asking = move || socket::get(&run, Role::Cm, path, Duration::from_secs(5)).unwrap();
    tokio::task::spawn_blocking(asking).await.unwrap()
}

#[tokio::test]
async fn a_session_without_a_gateway_goes_to_its_agent() {
    let world = World::with("SecurityGatewayEnabled = false", broker, agent).await;

    let (head, content) = world.post(None, &request(HELLO)).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: application/xml; charset=UTF-8\r\n"), "{head}");
    assert!(head.contains("\r\nTransfer-Encoding: chunked"), "{head}");
    let (_, cookie) = head.split_once("\r\nSet-Cookie: JSESSIONID=").unwrap();
    let (cookie, rest) = cookie.split_at(32);
    assert!(rest.starts_with("; Path=/; Secure; HttpOnly; SameSite=Strict\r\n"), "{head}");
    assert!(content.contains("<brokers-info /><pcm-info>"), "{content}");

    world.post(Some(cookie), &request(LOGON)).await;
    let (_, content) = world.post(Some(cookie), &request(ALLOCATE)).await;
    assert!(
        content.contains(
            "<target><ip-address>10.0.0.5</ip-address><hostname>localhost</hostname>\
             <sni>desk</sni><port>4172</port><session-id>7</session-id>\
             <connect-tag>SCS1tag</connect-tag></target>"
        ),
        "{content}"
    );
    let asked = &world.agent.lock().unwrap()[0];
    assert_eq!(asked.0, "/pcoip-agent/xml");
    for part in ["<password>p&amp;w</password>", "<client-mac>aa:bb<", "<client-name>laptop<", ID] {
        assert!(asked.2.contains(part), "{}", asked.2);
    }
    assert!(world.gateway.lock().unwrap().is_empty());
}

#[tokio::test]
async fn requests_to_the_broker_have_the_documented_form() {
    let world = World::with("SecurityGatewayEnabled = false", broker, agent).await;
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;

    let heard = world.broker.lock().unwrap();
    let posts: Vec<_> = heard.iter().filter(|(_, _, body)| !body.is_empty()).collect();
    assert_eq!(posts[1].2, request(LOGON).replace("pcoip-client", "pcoip-broker"));
    assert_eq!(posts[1].0, "/pcoip-broker/xml");
    let table = [
        ("x-forwarded-for", Some("127.0.0.1")),
        ("client-log-id", Some(ID)),
        ("content-type", Some("application/xml; charset=UTF-8")),
    ];
    for (name, value) in table {
        let sent = posts[1].1.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(sent, value, "{name}");
    }
    assert_eq!(posts[0].1.get("cookie"), None);
    assert_eq!(posts[1].1.get("cookie").unwrap(), "JSESSIONID=brokers");
}

#[tokio::test]
async fn a_session_is_announced_to_the_gateway_of_this_host() {
    let conf = "ExternalRoutableIP = 2001:db8::7\nExternalRoutableIP = 203.0.113.7\n\
                ExternalPort = 14172";
    let world = World::with(conf, broker, agent).await;
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &request(LOGON)).await;

    let (_, content) = world.post(Some(&cookie), &request(ALLOCATE)).await;

    assert!(
        content.contains(
            "<target><ip-address>203.0.113.7</ip-address><hostname>localhost</hostname>\
             <sni>pcoip-default-sg-sni</sni><port>14172</port><session-id>7</session-id>\
             <connect-tag>SCS1other</connect-tag></target>"
        ),
        "{content}"
    );
    let heard = world.gateway.lock().unwrap();
    let (path, headers, body) = heard.iter().find(|(_, _, body)| !body.is_empty()).unwrap();
    assert_eq!(path, "/pcoip-sg/xml");
    assert!(body.contains("<hostname>localhost</hostname><ctag>SCS1tag</ctag>"), "{body}");
    let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let claims = Verifier::load(&world.run().join("crt")).unwrap().verify(token).unwrap();
    assert_eq!(claims.aud.to_string(), "203.0.113.7");
    assert_eq!(claims.agent.to_string(), "10.0.0.5:4172");
    assert_eq!(claims.hostname, Some("localhost".parse().unwrap()));
}

#[tokio::test]
async fn a_session_is_announced_to_another_gateway_if_the_own_one_does_not_answer() {
    let own = "ExternalRoutableIP = 203.0.113.7\nExternalPort = 14172";
    let other = format!(
        "{own}\nExternalSecurityGateway = 198.51.100.1\n\
         ExternalSecurityGatewayControl = 198.51.100.1=localhost:{{AGENT}}"
    );
    let table = [
        (own, "Security Gateway is enabled but does not respond"),
        (
            &other,
            "<target><ip-address>198.51.100.1</ip-address><hostname>localhost</hostname>\
             <sni>pcoip-default-sg-sni</sni><port>4172</port>",
        ),
    ];
    for (conf, expected) in table {
        let world = World::with(conf, broker, agent_and_gateway).await;
        std::fs::remove_file(world.run().join("sg.sock")).unwrap();
        let cookie = hello(&world).await;

        let (_, content) = world.post(Some(&cookie), &request(ALLOCATE)).await;

        assert!(content.contains(expected), "{content}");
    }
}

#[tokio::test]
async fn an_agents_failure_is_reported_and_the_session_continues() {
    let world = World::with("SecurityGatewayEnabled = false", broker, busy_agent).await;
    let cookie = hello(&world).await;

    let (_, content) = world.post(Some(&cookie), &request(ALLOCATE)).await;
    assert!(content.contains("ALLOC_FAILED_TO_ALLOCATE_AGENT"), "{content}");
    assert!(content.contains("[PCoIPAgent] FAILED_USER_AUTH: no"), "{content}");

    let (_, content) = world.post(Some(&cookie), &request(BYE)).await;
    assert_eq!(content, request("<bye-resp />"));
    let (_, content) = world.post(Some(&cookie), &request(BYE)).await;
    assert!(content.contains("Unknown/expired JSESSIONID"), "{content}");
}

#[tokio::test]
async fn an_invalid_response_of_the_broker_invalidates_the_session() {
    let world = World::with("SecurityGatewayEnabled = false", broker, agent).await;
    let cookie = hello(&world).await;
    let unknown = request("<get-resource-list />");

    let (_, content) = world.post(Some(&cookie), &unknown).await;
    assert!(content.contains("Error 6608"), "{content}");
    let (_, content) = world.post(Some(&cookie), &request(ALLOCATE)).await;
    assert!(content.contains("The requested session is invalid."), "{content}");
    let (_, content) = world.post(Some(&cookie), &request(BYE)).await;
    assert_eq!(content, request("<bye-resp />"));
}

#[tokio::test]
async fn the_unix_socket_reports_sessions_and_readiness() {
    let mut world = World::with("ExternalRoutableIP = 203.0.113.7", broker, agent).await;
    let (head, content) = world.http("GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(content, r#"{"code":200,"status":"success"}"#);
    let cookie = hello(&world).await;
    for message in [LOGON, ALLOCATE, BYE] {
        world.post(Some(&cookie), &request(message)).await;
    }

    let status: Status = document_of(&world, "/status").await;
    let connections: Connections = document_of(&world, "/connections").await;

    assert_eq!((status.ready, status.reason, status.sessions), (true, None, 0));
    assert_eq!(status.listens[0].key, "broker");
    let [connection] = &connections.connections[..] else { panic!("{connections:?}") };
    assert_eq!((connection.id.as_str(), connection.state.as_str()), (ID, "ended"));
    assert_eq!(connection.client.as_deref(), Some("127.0.0.1"));
    assert_eq!(connection.agent.as_deref(), Some("10.0.0.5:4172"));
    let names: Vec<_> = connection.exchanges.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["hello", "authenticate", "allocate", "launch-session", "announce", "bye"]);
    world.stop().await;
}

#[tokio::test]
async fn a_probe_is_answered_and_not_recorded() {
    let world = World::with("SecurityGatewayEnabled = false", broker, agent).await;
    let probe = "<hello><client-info><product-name>QueryBrokerClient</product-name></client-info>\
                 </hello>";

    let (head, content) =
        world.http("POST /pcoip-broker/xml", "Content-Type: text/xml\r\n", &request(probe)).await;

    assert!(head.contains("Set-Cookie: JSESSIONID="), "{head}");
    assert!(content.contains("<hello-resp>"), "{content}");
    assert_eq!(document_of::<Connections>(&world, "/connections").await.connections, []);
    let heard = world.broker.lock().unwrap();
    let (_, headers, _) = heard.iter().find(|(_, _, body)| !body.is_empty()).unwrap();
    assert_eq!(headers["client-log-id"].len(), 36);
}

#[tokio::test]
async fn a_silent_client_is_disconnected() {
    let conf = "SecurityGatewayEnabled = false\nTlsHandshakeSeconds = 1";
    let world = World::with(conf, broker, agent).await;
    let mut stream = TcpStream::connect(world.address()).await.unwrap();

    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 1])).await;

    assert_eq!(ended.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn no_secret_is_logged_at_any_level() {
    let (log, _guard) = logged();
    let mut world = World::with("ExternalRoutableIP = 203.0.113.7", broker, agent).await;
    let cookie = hello(&world).await;
    for message in [LOGON, ALLOCATE, "<oauth><code>p&amp;w</code></oauth>", BYE] {
        world.post(Some(&cookie), &request(message)).await;
    }
    world.stop().await;

    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains("<username>u</username><password>****</password>"), "{log}");
    for secret in ["p&amp;w", "p&w", "SCS1tag", "SCS1other", &cookie, "brokers;", "Bearer"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

/// Captures all log lines of this thread from now on.
fn logged() -> (Arc<Mutex<Vec<u8>>>, DefaultGuard) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&log);
    let ours = |m: &Metadata<'_>| m.module_path().is_some_and(|m| m.starts_with("pcoip_cmsgd"));
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || Sink(Arc::clone(&sink)))
        .with_filter(filter_fn(ours))
        .with_filter(LevelFilter::TRACE);
    (log, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_broker_that_does_not_answer_is_reported() {
    let world = World::with("SecurityGatewayEnabled = false", away, agent).await;

    let (head, content) = world.http("GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    let documented = r#"{"code":500,"status":"Error","reason":"Cannot communicate with broker"}"#;
    assert_eq!(content, documented);
    let (_, content) = world.post(None, &request(HELLO)).await;
    assert!(content.contains("Error 6608"), "{content}");
}

#[tokio::test]
async fn requests_outside_the_broker_protocol_are_refused_by_http() {
    let world = World::with("SecurityGatewayEnabled = false", broker, agent).await;
    let large = "x".repeat(1024 * 1024 + 1);
    let table = [
        ("GET /", "", "", "404"),
        ("POST /health", "", "", "405"),
        ("GET /pcoip-broker/xml", "", "", "405"),
        ("POST /pcoip-broker/xml", "Content-Type: application/json\r\n", "{}", "415"),
        ("POST /pcoip-broker/xml", "", "<a>", "400"),
        ("POST /pcoip-broker/xml", "", &large, "413"),
    ];
    for (what, head, body, status) in table {
        let (head, _) = world.http(what, head, body).await;
        assert_eq!(&head["HTTP/1.1 ".len()..][..3], status, "{what}");
    }
    assert!(world.broker.lock().unwrap().iter().all(|(_, _, body)| body.is_empty()));
}

#[tokio::test]
async fn health_is_reported_for_several_methods_and_paths() {
    let world = World::with("SecurityGatewayEnabled = false", broker, agent).await;
    for (what, status) in [
        ("GET /health/", "200 OK"),
        ("HEAD /health", "200 OK"),
        ("OPTIONS /health", "204 No Content"),
    ] {
        let (head, content) = world.http(what, "", "").await;

        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{what}: {head}");
        assert_eq!(content.is_empty(), !what.starts_with("GET"), "{what}: {content}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_its_key() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = cmsg_config::ConnectionManager {
        listen: address,
        ..config(folder.path(), "PcoipAddress = https://b\nSecurityGatewayEnabled = false")
    };

    let error = super::bind(config).await.err().unwrap();

    assert_eq!(error.to_string(), format!("binding `ListenAddress` = `{address}`"));
    assert!(format!("{error:#}").ends_with("(os error 98)"), "{error:#}");
}
