//! Grants for the gateways that a session is not announced to.

use std::{
    future::pending,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use cmsg_config::socket::{NOT_LOOKED, Status};
use cmsg_proto::control::{AddConnection, GRANT_PATH};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{Request, body::Incoming};
use tokio::{net::TcpListener, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    ALLOCATE, agent, broker, document_of, hello, logged, request,
    world::{WAIT, World, gateway_says, gateway_with},
};
use crate::{
    clock,
    https::{
        listener::{Content, speak},
        text,
    },
    reload::Files,
    tls,
    token::Verifier,
};

/// A gateway on another host.
struct Peer {
    /// Status and body of its health document.
    health: (u16, &'static str),
    /// The answer to the grant with this number, from 0; `None` if it hangs.
    answer: fn(usize) -> Option<StatusCode>,
    grants: Mutex<Vec<String>>,
    announcements: Mutex<Vec<String>>,
}

const PLAIN: &str = r#"{"code":200,"status":"success"}"#;
const IDLE: &str = r#"{"code":200,"status":"success","capabilities":["grants"],"load":3}"#;
const BUSY: &str = r#"{"code":200,"status":"success","capabilities":["grants"],"load":50}"#;
const FULL: &str =
    r#"{"code":503,"status":"Error","reason":"full","capabilities":["grants"],"load":100}"#;

impl Peer {
    fn new(health: (u16, &'static str), answer: fn(usize) -> Option<StatusCode>) -> Arc<Self> {
        Arc::new(Self { health, answer, grants: Mutex::default(), announcements: Mutex::default() })
    }

    /// A gateway that accepts everything.
    fn accepting(health: &'static str) -> Arc<Self> {
        Self::new((200, health), |_| Some(StatusCode::OK))
    }

    fn grants(&self) -> Vec<String> {
        self.grants.lock().unwrap().clone()
    }

    async fn handle(&self, request: Request<Incoming>) -> Response<Content> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        match (head.method.as_str(), head.uri.path()) {
            ("GET", _) => text(self.health.0.try_into().unwrap(), self.health.1),
            (_, GRANT_PATH) => {
                let number = {
                    let mut grants = self.grants.lock().unwrap();
                    grants.push(body);
                    grants.len() - 1
                };
                match (self.answer)(number) {
                    Some(status) => text(status, "the reason"),
                    None => pending().await,
                }
            }
            _ => {
                let (status, answer) = gateway_says(&body);
                self.announcements.lock().unwrap().push(body);
                text(status, answer)
            }
        }
    }
}

/// A Connection Manager that has checked these gateways. Number `n` has the public addresses
/// 198.51.100.n and 2001:db8::n, from 1.
async fn world(peers: &[&Arc<Peer>]) -> World {
    let addresses = |number| vec![format!("198.51.100.{number}"), format!("2001:db8::{number}")];
    world_at(peers, addresses).await
}

/// The same, where number `n` has these public addresses.
async fn world_at(peers: &[&Arc<Peer>], addresses: impl Fn(usize) -> Vec<String>) -> World {
    let mut conf = "SecurityGatewayEnabled = false\n".to_owned();
    let mut listeners = Vec::new();
    for number in 1..=peers.len() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for ip in addresses(number) {
            let listed = format!("ExternalSecurityGateway = {ip}\n");
            if !conf.contains(&listed) {
                conf += &listed;
            }
            conf += &format!("ExternalSecurityGatewayControl = {ip}=localhost:{port}\n");
        }
        listeners.push(listener);
    }
    let world = World::with(&conf, broker, agent).await;
    let (key, crt) = (world.run().join("key"), world.run().join("crt"));
    let tls: TlsAcceptor = tls::server_config(&crt, &key, &Files::default()).unwrap().into();
    for (peer, listener) in peers.iter().zip(listeners) {
        tokio::spawn(serve(Arc::clone(peer), listener, tls.clone()));
    }
    let are_checked = async {
        loop {
            let gateways =
                document_of::<Status>(&world, "/status").await.unserved.unwrap().gateways;
            if gateways.iter().all(|it| it.reason.as_deref() != Some(NOT_LOOKED)) {
                return;
            }
        }
    };
    timeout(WAIT, are_checked).await.unwrap();
    world
}

async fn serve(peer: Arc<Peer>, listener: TcpListener, tls: TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (peer, tls) = (Arc::clone(&peer), tls.clone());
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            speak(stream, WAIT, CancellationToken::new(), |request| peer.handle(request)).await;
        });
    }
}

/// Allocates a session, and returns the address of its gateway.
async fn session(world: &World) -> String {
    let cookie = hello(world).await;
    let (_, content) = world.post(Some(&cookie), &request(ALLOCATE)).await;
    let (_, rest) = content.split_once("<target><ip-address>").expect(&content);
    rest.split_once('<').unwrap().0.to_owned()
}

async fn until(like: impl Fn() -> bool) {
    let waiting = async {
        while !like() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(WAIT, waiting).await.expect("in time");
}

#[tokio::test]
async fn every_other_gateway_that_accepts_grants_gets_one() {
    let full = Peer::new((503, FULL), |_| Some(StatusCode::OK));
    let [busy, idle] = [BUSY, IDLE].map(Peer::accepting);
    let plain = Peer::accepting(PLAIN);
    let mut world = world(&[&plain, &full, &busy, &idle]).await;

    let gateway = session(&world).await;
    world.stop().await;

    assert_eq!(gateway, "198.51.100.4", "the one with the lowest load");
    let announced = idle.announcements.lock().unwrap();
    let announced = AddConnection::parse(announced[0].as_bytes()).unwrap();
    for (peer, address) in [(&full, "198.51.100.2"), (&busy, "2001:db8::3")] {
        let grants = peer.grants();
        assert_eq!(grants.len(), 1, "{address}");
        let verifier = Verifier::load(&world.run().join("crt")).unwrap();
        let address: IpAddr = address.parse().unwrap();
        let grant = verifier.verify_grant(&grants[0], &[address], clock::wall()).unwrap();
        assert_eq!((grant.tag, grant.agent), (announced.tag.digest(), announced.agent));
        assert_eq!((Some(grant.key), &grant.id), (announced.session_key, &announced.connection_id));
        assert_eq!(grant.hostname, announced.hostname);
    }
    assert_eq!((plain.grants(), idle.grants()), (vec![], vec![]));
}

#[tokio::test]
async fn gateways_that_share_a_public_address_get_grants_of_each_others_sessions() {
    let peers = [IDLE, IDLE].map(Peer::accepting);
    let [first, second] = &peers;
    let mut world = world_at(&[first, second], |_| vec!["198.51.100.9".to_owned()]).await;

    for _ in 0..2 {
        assert_eq!(session(&world).await, "198.51.100.9");
    }
    let status = document_of::<Status>(&world, "/status").await;
    world.stop().await;

    for (peer, other) in [(first, second), (second, first)] {
        let announced = peer.announcements.lock().unwrap();
        assert_eq!((announced.len(), other.grants().len()), (1, 1), "each serves one session");
        let announced = AddConnection::parse(announced[0].as_bytes()).unwrap();
        let verifier = Verifier::load(&world.run().join("crt")).unwrap();
        let shared = ["198.51.100.9".parse().unwrap()];
        let grant = verifier.verify_grant(&other.grants()[0], &shared, clock::wall()).unwrap();
        assert_eq!(Some(grant.key), announced.session_key);
    }
    let names: Vec<_> =
        status.unserved.unwrap().gateways.into_iter().map(|it| it.gateway).collect();
    assert!(names.iter().all(|name| name.starts_with("198.51.100.9 (localhost:")), "{names:?}");
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn a_gateway_that_hangs_delays_neither_the_client_nor_other_gateways() {
    let hung = Peer::new((200, BUSY), |_| None);
    let [busy, idle] = [BUSY, IDLE].map(Peer::accepting);
    let world = world(&[&hung, &busy, &idle]).await;

    // The attempts for a gateway that hangs take longer.
    let gateway = timeout(Duration::from_secs(5), session(&world)).await;

    assert_eq!(gateway.as_deref(), Ok("198.51.100.3"));
    until(|| hung.grants().len() == 1 && busy.grants().len() == 1).await;
}

#[tokio::test]
async fn a_failed_grant_is_repeated_and_a_failing_gateway_is_logged_once() {
    const FAILS: &str = "A gateway does not receive grants of sessions gateway=\"198.51.100.1\"";
    let (log, _guard) = logged();
    let lines =
        |text: &str| String::from_utf8(log.lock().unwrap().clone()).unwrap().matches(text).count();
    // All attempts for the first session fail, and the first one for the second session.
    let failing = Peer::new((200, BUSY), |number| {
        Some(if number < 4 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK })
    });
    let idle = Peer::accepting(IDLE);
    let mut world = world(&[&failing, &idle]).await;

    session(&world).await;
    until(|| lines(FAILS) == 1).await;
    assert_eq!(failing.grants().len(), 3);
    session(&world).await;
    until(|| failing.grants().len() == 5).await;
    world.stop().await;

    let grants = failing.grants();
    assert_eq!((&grants[0], &grants[3]), (&grants[2], &grants[4]));
    assert_ne!(grants[2], grants[3]);
    assert_eq!(lines(FAILS), 1);
    assert_eq!(lines("The gateway receives grants again gateway=\"198.51.100.1\""), 1);
}

#[tokio::test]
async fn a_refused_grant_is_logged_and_not_repeated() {
    let (log, _guard) = logged();
    let refusing = Peer::new((200, BUSY), |_| Some(StatusCode::FORBIDDEN));
    let idle = Peer::accepting(IDLE);
    let mut world = world(&[&refusing, &idle]).await;

    session(&world).await;
    until(|| refusing.grants().len() == 1).await;
    world.stop().await;

    assert_eq!(refusing.grants().len(), 1);
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains("The gateway refused the grant"));
    let line = line.expect(&log);
    for part in ["status=403", "gateway=\"198.51.100.1\"", "reason=\"the reason\""] {
        assert!(line.contains(part), "{line}");
    }
}

#[tokio::test]
async fn grants_of_other_hosts_are_forwarded_to_the_gateway_of_this_host() {
    fn says(body: &str) -> (StatusCode, String) {
        match body {
            "" => (StatusCode::OK, IDLE.to_owned()),
            "a.b.c" => (StatusCode::CONFLICT, "the session has ended".to_owned()),
            _ => (StatusCode::OK, "OK".to_owned()),
        }
    }
    let world = World::with("ExternalRoutableIP = 203.0.113.7", broker, agent).await;
    std::fs::remove_file(world.run().join("sg.sock")).unwrap();
    let heard = gateway_with(world.run(), says);

    let (refused, reason) = world.http("POST /pcoip-sg/grant", "", "a.b.c").await;
    let (accepted, _) = world.http("POST /pcoip-sg/grant", "", &"x".repeat(1536)).await;
    let (large, _) = world.http("POST /pcoip-sg/grant", "", &"x".repeat(1537)).await;
    let (method, _) = world.http("GET /pcoip-sg/grant", "", "").await;

    assert!(refused.starts_with("HTTP/1.1 409 "), "{refused}");
    assert_eq!(reason, "the session has ended");
    assert!(accepted.starts_with("HTTP/1.1 200 "), "{accepted}");
    assert!(large.starts_with("HTTP/1.1 413 "), "{large}");
    assert!(method.starts_with("HTTP/1.1 405 "), "{method}");
    let posted = heard.lock().unwrap().iter().filter(|(path, ..)| path == GRANT_PATH).count();
    assert_eq!(posted, 2);
    let reports_it = async { while world.http("GET /pcoip-sg/health", "", "").await.1 != IDLE {} };
    timeout(WAIT, reports_it).await.unwrap();
}

#[tokio::test]
async fn without_a_gateway_on_this_host_grants_are_not_accepted() {
    let world = World::with("SecurityGatewayEnabled = false", broker, agent).await;

    let (head, _) = world.http("POST /pcoip-sg/grant", "", "a.b.c").await;

    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
}
