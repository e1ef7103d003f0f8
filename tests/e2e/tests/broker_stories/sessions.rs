//! Sessions: unknown, expired, abandoned, and used concurrently.

use e2e::site::Site;
use pcoip_sim::faults::Fault;

use crate::talk::{
    ALLOCATE, BYE, HELLO, LIST, PASSCODE, PASSWORD, Talk, WAIT, error_6606, error_6608, site,
    status,
};

/// Number of sessions of the Connection Manager.
async fn sessions(site: &Site) -> usize {
    status(site).await.sessions
}

#[tokio::test]
async fn a_session_that_nobody_knows_is_refused() {
    let site = site("").await;
    for cookie in [None, Some("0".repeat(32)), Some("x".to_owned())] {
        let mut talk = Talk::with(&site, cookie).await;

        for message in [PASSWORD, LIST, ALLOCATE, BYE, "<unknown />"] {
            let answer = talk.post(message).await;

            assert_eq!(answer.status, "HTTP/1.1 200 OK");
            assert_eq!(answer.body, error_6606(), "{message}");
        }
    }
    assert_eq!(site.broker.faults.heard("get-resource-list").len(), 0);
    site.stop().await;
}

#[tokio::test]
async fn a_session_that_nobody_uses_expires() {
    let site = site("SessionIdleSeconds = 1").await;
    let mut talk = Talk::open(&site).await;
    talk.ask(HELLO).await;

    let gone = async {
        while sessions(&site).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WAIT, gone).await.expect("it expires");

    let mut talk = Talk::with(&site, talk.cookie).await;
    assert_eq!(talk.ask(PASSWORD).await, error_6606());
    site.stop().await;
}

#[tokio::test]
async fn bye_ends_a_session_in_every_state() {
    let way = [HELLO, PASSWORD, PASSCODE, LIST, ALLOCATE];
    let site = site("SecurityGatewayEnabled = false").await;
    for steps in 1..=way.len() {
        let mut talk = Talk::open(&site).await;
        for message in &way[..steps] {
            talk.ask(message).await;
        }

        let answers = [talk.ask(BYE).await, talk.ask(BYE).await];

        let bye = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-client version=\"2.1\"><bye-resp />\
                   </pcoip-client>";
        assert_eq!(answers, [bye.to_owned(), error_6606()], "after {steps} steps");
        assert_eq!(sessions(&site).await, 0);
    }
    site.stop().await;
}

#[tokio::test]
async fn bye_ends_a_session_whose_broker_is_gone() {
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    site.broker.faults.next("bye", Fault::HangUp);

    let answers = [talk.ask(BYE).await, talk.ask(BYE).await];

    assert_eq!(answers, [error_6608("Cannot communicate with broker"), error_6606()]);
    assert_eq!(sessions(&site).await, 0);
    site.stop().await;
}

#[tokio::test]
async fn two_requests_of_one_session_at_once_are_both_answered() {
    let site = site("").await;
    let mut one = Talk::logged_on(&site).await;
    let mut other = Talk::with(&site, one.cookie.clone()).await;

    let (one, other) = tokio::join!(one.ask(ALLOCATE), other.ask(ALLOCATE));

    let tag = |answer: &str| {
        assert!(answer.contains("ALLOC_SUCCESSFUL"), "{answer}");
        let rest = answer.split_once("<connect-tag>").expect("it has a tag").1.to_owned();
        rest.split('<').next().map(str::to_owned)
    };
    assert_ne!(tag(&one), tag(&other));
    assert_eq!(site.agent.faults.heard("launch-session").len(), 2);
    site.stop().await;
}

#[tokio::test]
async fn a_client_that_vanishes_takes_its_request_with_it() {
    let site = site("").await;
    let mut talk = Talk::logged_on(&site).await;
    site.broker.faults.next("get-resource-list", Fault::Silence);
    talk.send(&talk.request(LIST)).await;
    site.broker.faults.held(1).await;

    let cookie = talk.cookie.clone();
    drop(talk);
    tokio::time::timeout(WAIT, site.broker.faults.held(0)).await.expect("the broker is let go");

    let mut talk = Talk::with(&site, cookie).await;
    assert!(talk.ask(LIST).await.contains("LIST_SUCCESSFUL"));
    site.stop().await;
}

#[tokio::test]
async fn a_probe_is_answered_and_its_session_log_id_made_up() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    let probe = "<hello><client-info><product-name>QueryBrokerClient</product-name>\
                 <product-version>1.0</product-version><platform>PCoIP</platform></client-info></hello>";
    let request = talk.request(probe);
    let request: Vec<_> =
        request.split_inclusive("\r\n").filter(|line| !line.starts_with("CLIENT-LOG-ID")).collect();

    talk.send(&request.concat()).await;
    let answer = talk.answer().await;

    assert!(answer.body.contains("<hello-resp"), "{}", answer.body);
    let log = site.log();
    let made_up = log.iter().find(|line| line.message.starts_with("Session-Log-Id not found"));
    assert_eq!(made_up.map(|line| line.level.as_str()), Some("WARN"));
    assert!(!log.iter().any(|line| line.message.starts_with("========> Detected")));
    site.stop().await;
}

#[tokio::test]
async fn a_zero_clients_hello_reaches_the_broker_whole() {
    let site = site("").await;
    let mut talk = Talk::open(&site).await;
    let info = "<client-info><product-name>Teradici PCoIP Zero Client</product-name>\
                <platform>Tera2</platform><device-name>z</device-name><organization-id /></client-info>";
    let caps =
        "<cap>CAP_ID_CARD</cap><cap>CAP_ALLOC_PENDING_TRY_AGAIN</cap><cap>CAP_HIDE_DOMAIN</cap>";

    talk.ask(&format!("<hello>{info}<caps>{caps}</caps><server-address /></hello>")).await;

    let heard = &site.broker.faults.heard("hello")[0];
    let (before, rest) = heard.split_once("<pcm-info>").expect("we introduce ourselves");
    let (_, after) = rest.split_once("</pcm-info>").expect("we introduce ourselves");
    assert_eq!(before, format!("<pcoip-broker version=\"2.1\"><hello>{info}"));
    assert_eq!(
        after,
        format!(
            "<caps>{caps}<cap>CAP_ALTERNATE_CREDENTIALS</cap></caps><server-address /></hello>\
             </pcoip-broker>"
        )
    );
    site.stop().await;
}

#[tokio::test]
async fn hellos_of_one_address_do_not_keep_the_broker_from_others() {
    let site = site("MaxConnections = 64").await;
    let mut waiting = Vec::new();
    // A quarter of the limit.
    for number in 1..=16 {
        site.broker.faults.next("hello", Fault::Silence);
        let mut talk = Talk::open(&site).await;
        talk.send(&talk.request(HELLO)).await;
        site.broker.faults.held(number).await;
        waiting.push(talk);
    }

    let refused = Talk::open(&site).await.post(HELLO).await;
    assert_eq!(refused.status, "HTTP/1.1 503 Service Unavailable");
    let mut other = Talk::from(&site, "127.0.0.2", None).await;
    assert!(other.ask(HELLO).await.contains("<hello-resp"));
    assert!(other.ask(PASSWORD).await.contains("authenticate-resp"));

    assert_eq!(waiting[0].answer().await.status, refused.status, "the oldest gave way");
    let unserved = status(&site).await.unserved.expect("it counts");
    assert_eq!((unserved.strangers, unserved.crowded), (2, 0));
    drop(waiting);
    site.stop().await;
}
