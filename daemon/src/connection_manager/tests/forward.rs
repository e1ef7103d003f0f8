//! Announcements of other hosts, which are forwarded to the gateway of this host.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use cmsg_config::socket::{self, Role};
use cmsg_proto::control::{self, Reply};
use http::{HeaderName, Method, Response};
use tokio::{net::UnixListener, sync::Barrier};
use tokio_util::sync::CancellationToken;

use super::{
    super::announce::PLACES,
    agent, broker,
    world::{WAIT, World, gateway_says},
};
use crate::https::listener::{Content, speak};

const OWN: &str = "ExternalRoutableIP = 203.0.113.7";
const PATH: &str = "POST /pcoip-sg/xml";
const ANNOUNCEMENT: &str = "<pcoip-sg version=\"1.0\"><add-connection/></pcoip-sg>";

#[tokio::test]
async fn an_announcement_is_forwarded_with_its_token_and_nothing_else() {
    let world = World::with(OWN, broker, agent).await;
    let head = "Authorization: Bearer a.b.c\r\nCookie: JSESSIONID=x\r\nX-Forwarded-For: 1.2.3.4\r\n\
                Content-Type: text/plain\r\nCLIENT-LOG-ID: x\r\n";

    let (head, content) = world.http(&format!("{PATH}?a=b"), head, ANNOUNCEMENT).await;

    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: application/xml\r\n"), "{head}");
    assert!(!head.contains("Set-Cookie"), "{head}");
    assert_eq!(content, gateway_says(ANNOUNCEMENT).1);
    let heard = world.gateway.lock().unwrap();
    let (path, headers, body) = heard.iter().find(|(_, _, body)| !body.is_empty()).unwrap();
    assert_eq!((path.as_str(), body.as_str()), ("/pcoip-sg/xml", ANNOUNCEMENT));
    assert_eq!(headers["authorization"], "Bearer a.b.c");
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "authorization", "content-length", "content-type", "host"]);
}

#[tokio::test]
async fn the_gateways_refusal_is_returned() {
    let world = World::with(OWN, broker, agent).await;

    let (head, content) = world.http(PATH, "", "<ended />").await;

    assert!(head.starts_with("HTTP/1.1 409 Conflict\r\n"), "{head}");
    assert_eq!(content, gateway_says("<ended />").1);
    assert!(world.gateway.lock().unwrap().iter().all(|(_, h, _)| !h.contains_key("authorization")));
}

#[tokio::test]
async fn other_requests_are_refused_by_http() {
    let large = "x".repeat(32 * 1024 + 1);
    let table = [
        ("SecurityGatewayEnabled = false", PATH, ANNOUNCEMENT, "404"),
        (OWN, "GET /pcoip-sg/xml", "", "405"),
        (OWN, "POST /pcoip-sg/xml/", ANNOUNCEMENT, "404"),
        ("SecurityGatewayEnabled = false", "GET /pcoip-sg/health", "", "404"),
        (OWN, "POST /pcoip-sg/health", "", "405"),
        (OWN, "POST /status", ANNOUNCEMENT, "404"),
        (OWN, PATH, &large, "413"),
    ];
    for (conf, what, body, status) in table {
        let world = World::with(conf, broker, agent).await;

        let (head, _) = world.http(what, "", body).await;

        assert_eq!(&head["HTTP/1.1 ".len()..][..3], status, "{what}");
        assert!(world.gateway.lock().unwrap().iter().all(|(path, ..)| path == control::HEALTH));
    }
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_reported_in_its_protocol() {
    let world = World::with(OWN, broker, agent).await;
    std::fs::remove_file(world.run().join("sg.sock")).unwrap();

    let (head, content) = world.http(PATH, "", ANNOUNCEMENT).await;

    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
    let Ok(Reply::Refused { reason }) = Reply::parse(content.as_bytes()) else {
        panic!("{content}")
    };
    assert_eq!(reason, "the gateway does not answer");
}

#[tokio::test]
async fn forwarding_to_a_silent_gateway_times_out() {
    let world = World::with(OWN, broker, agent).await;
    std::fs::remove_file(world.run().join("sg.sock")).unwrap();
    let _silent = socket::bind(world.run(), Role::Sg).unwrap();

    let (head, _) = tokio::time::timeout(WAIT, world.http(PATH, "", ANNOUNCEMENT)).await.unwrap();

    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
}

#[tokio::test]
async fn the_number_of_forwarded_announcements_is_limited() {
    let world = Arc::new(World::with(OWN, broker, agent).await);
    let at_most = slow_gateway(&world);

    let posts: Vec<_> = (0..2 * PLACES)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.http(PATH, "", ANNOUNCEMENT).await })
        })
        .collect();
    for post in posts {
        let (head, _) = post.await.unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    }

    assert_eq!(at_most.load(Ordering::Relaxed), PLACES);
}

/// A gateway that answers once it has received as many announcements as may be forwarded at once.
/// Returns the maximum number of concurrent announcements.
fn slow_gateway(world: &World) -> Arc<AtomicUsize> {
    std::fs::remove_file(world.run().join("sg.sock")).unwrap();
    let listener = socket::bind(world.run(), Role::Sg).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = UnixListener::from_std(listener).unwrap();
    let at_most = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&at_most);
    let (now, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(PLACES)));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (at_most, now, all) = (Arc::clone(&counted), Arc::clone(&now), Arc::clone(&all));
            tokio::spawn(async move {
                let answer = |request: hyper::Request<_>| {
                    let (at_most, now, all) = (&at_most, &now, &all);
                    async move {
                        if request.method() == Method::POST {
                            at_most.fetch_max(
                                now.fetch_add(1, Ordering::Relaxed) + 1,
                                Ordering::Relaxed,
                            );
                            all.wait().await;
                            now.fetch_sub(1, Ordering::Relaxed);
                        }
                        Response::new(Content::whole(gateway_says("").1))
                    }
                };
                speak(stream, WAIT, CancellationToken::new(), answer).await;
            });
        }
    });
    at_most
}
