//! Clients with unusual HTTP or TLS: the exact response, and what is refused without the broker.

use e2e::site::{Line, Site};
use pcoip_sim::broker;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::talk::{BYE, HELLO, LIST, PASSWORD, Talk, WAIT, client, site};

const PATH: &str = "POST /pcoip-broker/xml HTTP/1.1\r\nHost: x\r\n";

#[tokio::test]
async fn an_answer_is_spelt_as_clients_need_it() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;

    let answer = talk.post(HELLO).await;

    let cookie = talk.cookie.as_deref().unwrap_or_default();
    assert_eq!(answer.status, "HTTP/1.1 200 OK");
    assert_eq!(answer.header("Content-Type"), Some("application/xml; charset=UTF-8"));
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(answer.header("Content-Length"), None);
    let set = format!("JSESSIONID={cookie}; Path=/; Secure; HttpOnly; SameSite=Strict");
    assert_eq!(answer.header("Set-Cookie"), Some(set.as_str()));
    assert!(cookie.len() == 32 && cookie.bytes().all(|b| b.is_ascii_hexdigit()), "{cookie}");
    site.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_its_status() {
    let site = site("").await;
    let with = |head: &str, body: &str| {
        format!("{PATH}{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let xml = "Content-Type: application/xml\r\n";
    let other = |line: &str| format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
    let table = [
        (with(xml, ""), "400 Bad Request"),
        (with(xml, "<pcoip-client version=\"2.1\"/>"), "400 Bad Request"),
        (
            with(xml, "<!DOCTYPE a><pcoip-client version=\"2.1\"><bye/></pcoip-client>"),
            "400 Bad Request",
        ),
        (with(xml, "<pcoip-broker version=\"2.1\"><bye/></pcoip-broker>"), "400 Bad Request"),
        (format!("{PATH}\r\n"), "400 Bad Request"),
        (with("Content-Type: application/json\r\n", "{}"), "415 Unsupported Media Type"),
        (with("Content-Type: text/plain\r\n", &client(BYE)), "415 Unsupported Media Type"),
        (other("GET /pcoip-broker/xml"), "405 Method Not Allowed"),
        (other("PUT /pcoip-broker/xml"), "405 Method Not Allowed"),
        (other("GET /"), "404 Not Found"),
        (other("POST /pcoip-broker/xml/"), "404 Not Found"),
        (other("POST /PCOIP-BROKER/XML"), "404 Not Found"),
        (format!("{PATH}{}\r\n", "X: y\r\n".repeat(200)), "431 Request Header Fields Too Large"),
        (format!("{PATH}Content-Length: 9\r\nContent-Length: 8\r\n\r\n"), "400 Bad Request"),
        (format!("{PATH}Transfer-Encoding: gzip\r\n\r\n"), "400 Bad Request"),
        (format!("{PATH}Transfer-Encoding : chunked\r\n\r\n"), "400 Bad Request"),
        ("nonsense\r\n\r\n".to_owned(), "400 Bad Request"),
    ];
    for (request, status) in table {
        let mut talk = Talk::open(&site).await;

        talk.send(&request).await;

        let start: String = request.chars().take(200).collect();
        assert_eq!(talk.answer().await.status, format!("HTTP/1.1 {status}"), "{start}");
    }
    assert_eq!(site.broker.faults.heard("bye").len(), 0);
    site.stop().await;
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_before_it_comes() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;

    let head = "Content-Type: text/xml\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n";
    talk.send(&format!("{PATH}{head}")).await;

    assert_eq!(talk.answer().await.status, "HTTP/1.1 413 Payload Too Large");
    site.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    let body = client(HELLO);

    let length = body.len();
    talk.send(&format!("{PATH}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n")).await;
    let asked = talk.answer().await;
    talk.send(&body).await;

    assert_eq!(asked.status, "HTTP/1.1 100 Continue");
    assert!(talk.answer().await.body.contains("<hello-resp"));
    site.stop().await;
}

#[tokio::test]
async fn a_request_with_two_lengths_ends_its_connection() {
    let site = site("").await;
    let body = client(HELLO);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let table = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ];
    for lengths in table {
        let mut talk = Talk::open(&site).await;
        let smuggled = talk.request(BYE);

        talk.send(&format!("{PATH}{lengths}\r\n{chunked}{smuggled}")).await;
        let answer = talk.answer().await;

        assert!(answer.body.contains("<hello-resp"), "{answer:?}");
        assert!(talk.is_over().await, "{lengths}");
    }
    site.stop().await;
}

#[tokio::test]
async fn chunks_with_trailers_are_a_body_like_any_other() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    let body = client(HELLO);
    let (one, two) = body.split_at(20);
    let chunks =
        format!("14;x=y\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\nX-Trailer: z\r\n\r\n", two.len());

    talk.send(&format!("{PATH}Transfer-Encoding: chunked\r\n\r\n{chunks}")).await;
    let answers = [talk.answer().await.body, talk.ask(BYE).await];

    assert!(answers[0].contains("<hello-resp"), "{answers:?}");
    assert!(answers[1].contains("<bye-resp />"), "{answers:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_an_answer_without_chunks() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;

    talk.send(&talk.request(HELLO).replace("HTTP/1.1", "HTTP/1.0")).await;
    let answer = talk.answer().await;

    assert_eq!(answer.header("Transfer-Encoding"), None);
    assert!(answer.body.ends_with("</hello-resp></pcoip-client>"), "{answer:?}");
    site.stop().await;
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_in_their_order() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    talk.ask(HELLO).await;

    talk.send(&[PASSWORD, LIST, BYE].map(|message| talk.request(message)).concat()).await;
    let answers = [talk.answer().await.body, talk.answer().await.body, talk.answer().await.body];

    assert!(answers[0].contains("<authenticate-resp"), "{answers:?}");
    assert!(answers[1].contains("Error 6612"), "{answers:?}");
    assert!(answers[2].contains("<bye-resp />"), "{answers:?}");
    site.stop().await;
}

#[tokio::test]
async fn a_request_in_single_bytes_is_answered() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;

    for byte in talk.request(HELLO).chars() {
        talk.send(&byte.to_string()).await;
    }

    assert!(talk.answer().await.body.contains("<hello-resp"));
    site.stop().await;
}

#[tokio::test]
async fn a_client_cannot_say_who_it_is_in_the_place_of_its_address() {
    let mut site = site("").await;
    let mut talk = Talk::open(&site).await;

    let noted = "X-Forwarded-For: 198.51.100.1, <script>\r\nContent-Type";
    talk.send(&talk.request(HELLO).replacen("Content-Type", noted, 1)).await;
    talk.answer().await;

    let mut told = Vec::new();
    while let Ok(event) = site.broker.events.try_recv() {
        if let broker::Event::Request(facts) = event {
            told.extend(facts.x_forwarded_for);
        }
    }
    assert_eq!(told, ["127.0.0.1"]);
    site.stop().await;
}

#[tokio::test]
async fn plain_http_and_silence_on_the_tls_port_are_ended() {
    let site = site("TlsHandshakeSeconds = 1").await;
    for (said, logged) in [
        ("GET / HTTP/1.1\r\n\r\n", "TLS handshake failed"),
        ("", "TLS handshake timed out"),
        ("\u{16}\u{3}\u{1}", "TLS handshake timed out"),
    ] {
        let mut stream = TcpStream::connect(site.connection_manager).await.expect("it listens");
        stream.write_all(said.as_bytes()).await.expect("it is taken");

        let mut answer = Vec::new();
        let ended = timeout(WAIT, stream.read_to_end(&mut answer)).await;

        assert!(ended.is_ok(), "{said:?}");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        until_logged(&site, logged).await;
    }
    site.stop().await;
}

/// Waits until the log has this line at DEBUG, which may be written after the connection has ended.
async fn until_logged(site: &Site, start: &str) {
    let is_there = |line: &Line| line.level == "DEBUG" && line.message.starts_with(start);
    let logged = async {
        while !site.log().iter().any(is_there) {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT, logged).await.expect("it is logged");
}

#[tokio::test]
async fn clients_beyond_the_limit_are_told_and_load_balancers_get_their_answer() {
    let site = site("MaxConnections = 2").await;
    let (mut one, two) = (Talk::logged_on(&site).await, Talk::logged_on(&site).await);

    let mut third = Talk::open(&site).await;
    let refused = third.post(HELLO).await;
    let mut balancer = Talk::open(&site).await;
    balancer.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let health = balancer.answer().await;

    assert_eq!(refused.status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(health.status, "HTTP/1.1 200 OK");
    assert!(third.is_over().await && balancer.is_over().await);
    assert!(one.ask(LIST).await.contains("LIST_SUCCESSFUL"));
    let told = "The limit of client connections is reached limit=2";
    assert!(site.log().iter().any(|line| line.level == "WARN" && line.message == told));

    drop(two);
    let has_a_place =
        async { while Talk::open(&site).await.post(HELLO).await.status != "HTTP/1.1 200 OK" {} };
    timeout(WAIT, has_a_place).await.expect("it gets a place");
    site.stop().await;
}
