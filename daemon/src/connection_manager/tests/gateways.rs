//! Gateways of other hosts that hang and recover.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cmsg_config::socket::{GatewayStanding, NOT_LOOKED, Status};
use cmsg_proto::control::{AddConnection, Reply};
use http::Response;
use tokio::{net::TcpListener, runtime::Handle, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    ALLOCATE, agent, agent_and_gateway, broker, document_of, hello, logged, request,
    world::{WAIT, World, gateway, gateway_says},
};
use crate::{
    https::listener::{Content, speak},
    reload::Files,
    tls,
};

/// A gateway with the public address 198.51.100.1.
struct Fickle {
    answers: Arc<AtomicBool>,
    refuses: Arc<AtomicBool>,
}

const EXPIRED: &str = "the token has expired: it was signed 120 seconds ago; compare the clocks of \
                       both hosts";

impl Fickle {
    /// A Connection Manager with this gateway, which hangs, and additional lines of configuration.
    async fn with(more: &str) -> (World, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let conf = format!(
            "SecurityGatewayEnabled = false\nExternalSecurityGateway = 198.51.100.1\n\
             ExternalSecurityGatewayControl = 198.51.100.1=localhost:{port}\n{more}"
        );
        let world = World::with(&conf, broker, agent_and_gateway).await;
        let (key, crt) = (world.run().join("key"), world.run().join("crt"));
        let tls: TlsAcceptor = tls::server_config(&crt, &key, &Files::default()).unwrap().into();
        let answers = Arc::new(AtomicBool::new(false));
        let refuses = Arc::new(AtomicBool::new(false));
        let (answering, refusing) = (Arc::clone(&answers), Arc::clone(&refuses));
        tokio::spawn(async move {
            let mut hung = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if !answering.load(Ordering::Relaxed) {
                    hung.push(stream);
                    continue;
                }
                let (tls, refusing) = (tls.clone(), Arc::clone(&refusing));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let answer = |request: hyper::Request<_>| {
                        let is_refused = refusing.load(Ordering::Relaxed);
                        async move {
                            Response::new(Content::whole(match request.method().as_str() {
                                "GET" => gateway_says("").1,
                                _ if is_refused => refused(EXPIRED),
                                _ => gateway_says("<announced />").1,
                            }))
                        }
                    };
                    speak(stream, WAIT, CancellationToken::new(), answer).await;
                });
            }
        });
        (world, Self { answers, refuses })
    }

    fn refuses(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    fn answers(&self) {
        self.answers.store(true, Ordering::Relaxed);
    }
}

fn refused(reason: &str) -> String {
    Reply::Refused { reason: reason.to_owned() }.render()
}

/// Waits until the first gateway matches.
async fn until(world: &World, like: impl Fn(&GatewayStanding) -> bool) -> Vec<GatewayStanding> {
    let stands = async {
        loop {
            let gateways = document_of::<Status>(world, "/status").await.unserved.unwrap().gateways;
            if like(&gateways[0]) {
                return gateways;
            }
        }
    };
    timeout(WAIT, stands).await.unwrap()
}

async fn session(world: &World) -> String {
    let cookie = hello(world).await;
    world.post(Some(&cookie), &request(ALLOCATE)).await.1
}

#[tokio::test]
async fn sessions_do_not_wait_for_a_hanging_gateway() {
    let (log, _guard) = logged();
    let other = "ExternalSecurityGateway = 198.51.100.2\n\
                 ExternalSecurityGatewayControl = 198.51.100.2=localhost:{AGENT}";
    let (world, gateway) = Fickle::with(other).await;
    let away = |gateway: &GatewayStanding| {
        gateway.reason.as_deref() == Some("timed out") && !gateway.takes_sessions
    };
    until(&world, away).await;

    for _ in 0..3 {
        let content = session(&world).await;
        assert!(content.contains("<ip-address>198.51.100.2</ip-address>"), "{content}");
    }
    let standings = until(&world, away).await;
    assert_eq!([standings[0].silent, standings[1].silent], [0, 0]);

    gateway.answers();
    until(&world, |gateway| gateway.takes_sessions).await;
    let content = session(&world).await;

    assert!(content.contains("<ip-address>198.51.100.1</ip-address>"), "{content}");
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    for line in [
        "A gateway does not answer and is tried last gateway=\"198.51.100.1\" error=\"timed out\"",
        "A gateway answers again gateway=\"198.51.100.1\"",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line} in {log}");
    }
}

#[tokio::test]
async fn without_a_gateway_health_fails_and_refusals_are_counted() {
    let (world, gateway) = Fickle::with("").await;

    let (head, content) = world.http("GET /health", "", "").await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(content.contains("Security Gateway is enabled but does not respond"), "{content}");
    let content = session(&world).await;
    assert!(content.contains("Security Gateway is enabled but does not respond"), "{content}");
    let unserved = document_of::<Status>(&world, "/status").await.unserved.unwrap();
    assert_eq!((unserved.gateway, unserved.broker, unserved.gateways[0].silent), (1, 0, 1));

    gateway.answers();
    until(&world, |gateway| gateway.takes_sessions).await;
    let is_healthy =
        async { while !world.http("GET /health", "", "").await.0.starts_with("HTTP/1.1 200 ") {} };
    timeout(WAIT, is_healthy).await.unwrap();
}

#[tokio::test]
async fn the_connection_manager_waits_for_a_gateway_that_starts_later() {
    let own = "ExternalRoutableIP = 203.0.113.7";
    let mut world = World::with(own, broker, agent).await;
    world.stop().await;
    std::fs::remove_file(world.run().join("sg.sock")).unwrap();
    world.start_on(&Handle::current()).await;

    let mut health = pin!(world.http("GET /health", "", ""));
    let mut of_gateway = pin!(world.http("GET /pcoip-sg/health", "", ""));
    let both = async {
        tokio::select!(answer = &mut health => answer, answer = &mut of_gateway => answer)
    };
    let early = timeout(Duration::from_millis(500), both).await;
    let reason = document_of::<Status>(&world, "/status").await.reason;
    gateway(world.run());

    assert!(early.is_err(), "{early:?}");
    assert_eq!(reason.as_deref(), Some(NOT_LOOKED));
    for (head, content) in [health.await, of_gateway.await] {
        assert!(head.starts_with("HTTP/1.1 200 "), "{head} {content}");
    }
}

#[tokio::test]
async fn health_for_other_hosts_only_covers_the_gateway_of_this_host() {
    let world = World::with("ExternalRoutableIP = 203.0.113.7", super::away, agent).await;
    let is_told = async {
        while !world.http("GET /pcoip-sg/health", "", "").await.0.starts_with("HTTP/1.1 200 ") {}
    };
    timeout(WAIT, is_told).await.unwrap();

    std::fs::remove_file(world.run().join("sg.sock")).unwrap();

    let is_told = async {
        while !world.http("GET /pcoip-sg/health", "", "").await.0.starts_with("HTTP/1.1 502 ") {}
    };
    timeout(WAIT, is_told).await.unwrap();
}

#[tokio::test]
async fn each_session_has_a_unique_key() {
    let world = World::with("ExternalRoutableIP = 203.0.113.7", broker, agent).await;
    for allocations in [2, 1] {
        // Both have the same session log id, which the client chose.
        let cookie = hello(&world).await;
        for _ in 0..allocations {
            world.post(Some(&cookie), &request(ALLOCATE)).await;
        }
    }

    let heard = world.gateway.lock().unwrap();
    let announced = heard.iter().filter(|(_, _, body)| !body.is_empty());
    let announced: Vec<_> =
        announced.map(|(_, _, body)| AddConnection::parse(body.as_bytes()).unwrap()).collect();
    let keys: Vec<_> = announced.iter().map(|announced| announced.session_key.unwrap()).collect();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[0], keys[2]);
    assert!(announced.iter().all(|other| other.connection_id == announced[0].connection_id));
}

#[tokio::test]
async fn a_gateways_refusal_is_reported_until_it_accepts_a_session() {
    let (log, _guard) = logged();
    let (world, gateway) = Fickle::with("").await;
    gateway.answers();
    until(&world, |gateway| gateway.takes_sessions).await;

    gateway.refuses(true);
    session(&world).await;
    let refused = until(&world, |gateway| gateway.refused == 1).await;
    gateway.refuses(false);
    session(&world).await;
    let accepted = until(&world, |_| true).await;

    let refusal = refused[0].last_refusal.as_ref().unwrap();
    assert_eq!(refusal.reason, format!("it refused: {EXPIRED}"));
    assert!(refusal.at.starts_with("20") && refusal.at.ends_with('Z'), "{refusal:?}");
    assert_eq!((&accepted[0].last_refusal, accepted[0].refused), (&None, 1));
    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    assert!(log.contains(&format!("it refused: {EXPIRED}")), "{log}");
}
