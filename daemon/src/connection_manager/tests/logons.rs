//! Failed log-ons are slowed, and a user is banned from an address after too many.

use std::{
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use cmsg_config::socket::{self, Ban, Bans, Lift, LogonCounts, Status};
use http::StatusCode;
use tokio::net::{TcpSocket, TcpStream};

use super::{
    agent, broker,
    brokers::Moody,
    document_of, hello, logged, request,
    world::{WAIT, World},
};

const BANNED: &str = "<authenticate-resp method=\"password\"><result>\
                      <result-id>AUTH_FAILED_ACCESS_DENIED</result-id><result-str>Too many failed \
                      log-ons. Please try again in 15 minutes.</result-str></result>";
const WRONG: &str = "AUTH_FAILED_UNKNOWN_USERNAME_OR_PASSWORD";
const COMPLETE: &str = "AUTH_SUCCESSFUL_AND_COMPLETE";
const INCOMPLETE: &str = "AUTH_SUCCESSFUL_AND_INCOMPLETE";

/// Accepts the password `right`, and asks for a code after the password `half`.
fn strict_broker(body: &str) -> (StatusCode, String) {
    if !body.contains("<authenticate") {
        return broker(body);
    }
    let result = match body {
        _ if body.contains("<password>right<") || body.contains(">123456<") => COMPLETE,
        _ if body.contains("<password>half<") => INCOMPLETE,
        _ => WRONG,
    };
    let (status, _) = broker(body);
    let response = format!(
        "<authenticate-resp method=\"password\"><result><result-id>{result}</result-id></result>\
         </authenticate-resp>"
    );
    (status, format!("<pcoip-broker version=\"2.1\">{response}</pcoip-broker>"))
}

async fn world(conf: &str) -> World {
    let conf = format!("SecurityGatewayEnabled = false\n{conf}");
    World::with(&conf, strict_broker, agent).await
}

fn logon(user: &str, password: &str) -> String {
    let user = format!("<username>{user}</username><password>{password}</password>");
    request(&format!("<authenticate method=\"password\">{user}<domain>D</domain></authenticate>"))
}

fn code(code: &str) -> String {
    let field = format!("<fields><field><id>CODE</id><text>{code}</text></field></fields>");
    request(&format!("<authenticate method=\"dialog\">{field}</authenticate>"))
}

/// The answer to a log-on in a new session.
async fn try_logon(world: &World, user: &str, password: &str) -> String {
    let cookie = hello(world).await;
    world.post(Some(&cookie), &logon(user, password)).await.1
}

async fn counts(world: &World) -> LogonCounts {
    document_of::<Status>(world, "/status").await.logons.unwrap()
}

/// The number of log-ons that reached the broker.
fn asked(world: &World) -> usize {
    let heard = world.broker.lock().unwrap();
    heard.iter().filter(|(_, _, body)| body.contains("<authenticate")).count()
}

async fn lift(world: &World, bans: Lift) -> usize {
    let run = world.run().to_owned();
    let lifting = move || socket::lift(&run, &bans, WAIT).unwrap();
    tokio::task::spawn_blocking(lifting).await.unwrap()
}

#[tokio::test]
async fn a_user_is_banned_from_one_address_until_the_ban_is_lifted() {
    let (log, _guard) = logged();
    let world = world("LogonFailures = 2").await;
    for user in ["anna", "ANNA"] {
        assert!(try_logon(&world, user, "wrong").await.contains(WRONG));
    }

    for _ in 0..3 {
        let content = try_logon(&world, "Anna", "right").await;
        assert!(content.contains(BANNED), "{content}");
    }

    assert_eq!(asked(&world), 2, "the broker is not asked");
    let counted = LogonCounts { bans: 1, recent_failures: 0, refused: 3 };
    assert_eq!(counts(&world).await, counted);
    let [ban] = &document_of::<Bans>(&world, "/bans").await.bans[..] else { panic!() };
    let Ban { source, user, failures, refused, .. } = ban;
    assert_eq!((&**source, &**user, failures, refused), ("127.0.0.1", "d\\anna", &2, &3));
    assert!(try_logon(&world, "bert", "right").await.contains(COMPLETE), "other users");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(world.address()).await.unwrap();
    let head = format!("Content-Type: text/xml\r\nCookie: JSESSIONID={}\r\n", hello(&world).await);
    let elsewhere = logon("anna", "right");
    let asked = world.http_over(stream, "POST /pcoip-broker/xml", &head, &elsewhere).await;
    assert!(asked.1.contains(COMPLETE), "other addresses: {asked:?}");

    let one = |user: &str| Lift::One { source: "127.0.0.1".to_owned(), user: user.to_owned() };
    assert_eq!(lift(&world, one("D\\bert")).await, 0);
    assert_eq!(lift(&world, one("D\\Anna")).await, 1);
    assert!(try_logon(&world, "anna", "right").await.contains(COMPLETE));
    assert_eq!(lift(&world, Lift::All).await, 0);

    let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("is banned from")).collect();
    let warned = warnings.iter().filter(|line| line.contains("WARN")).count();
    assert_eq!(warned, 1, "{warnings:#?}");
    assert!(log.contains("A ban was lifted client=127.0.0.1 refused=3 user=d\\anna"), "{log}");
}

#[tokio::test]
async fn wrong_codes_count_for_the_user_of_the_password_step_and_a_complete_log_on_clears_them() {
    let world = world("LogonFailures = 2").await;
    let cookie = hello(&world).await;
    assert!(world.post(Some(&cookie), &logon("anna", "half")).await.1.contains(INCOMPLETE));
    assert!(world.post(Some(&cookie), &code("1")).await.1.contains(WRONG));
    assert_eq!(counts(&world).await.recent_failures, 1);
    assert!(world.post(Some(&cookie), &code("123456")).await.1.contains(COMPLETE));
    assert_eq!(counts(&world).await, LogonCounts::default());

    let cookie = hello(&world).await;
    world.post(Some(&cookie), &logon("anna", "half")).await;
    world.post(Some(&cookie), &code("1")).await;
    let cookie = hello(&world).await;
    world.post(Some(&cookie), &logon("anna", "half")).await;
    world.post(Some(&cookie), &code("2")).await;

    let (_, content) = world.post(Some(&cookie), &code("123456")).await;
    assert!(content.contains("<authenticate-resp method=\"dialog\">"), "{content}");
    assert!(content.contains("Too many failed log-ons."), "{content}");
}

#[tokio::test]
async fn the_third_failure_is_answered_later() {
    let world = world("").await;
    for _ in 0..2 {
        try_logon(&world, "anna", "wrong").await;
    }

    let begun = Instant::now();
    assert!(try_logon(&world, "anna", "wrong").await.contains(WRONG));

    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn log_ons_are_not_counted_if_that_is_turned_off() {
    let world = world("LogonFailures = 0").await;
    for _ in 0..20 {
        assert!(try_logon(&world, "anna", "wrong").await.contains(WRONG));
    }

    assert_eq!(counts(&world).await, LogonCounts::default());
}

#[tokio::test]
async fn a_client_that_does_not_wait_for_the_answer_has_failed() {
    let moody = Moody::start().await;
    let world = World::with(&moody.conf(), broker, agent).await;
    let cookie = hello(&world).await;
    moody.hangs.store(true, SeqCst);
    let stream = TcpStream::connect(world.address()).await.unwrap();
    let head = format!("Content-Type: text/xml\r\nCookie: JSESSIONID={cookie}\r\n");
    let guess = logon("anna", "guess");

    tokio::select! {
        answer = world.http_over(stream, "POST /pcoip-broker/xml", &head, &guess) => {
            panic!("{answer:?}")
        }
        () = moody.has_heard(2) => {}
    }
    let counted = async { while counts(&world).await.recent_failures == 0 {} };
    tokio::time::timeout(WAIT, counted).await.expect("the failure is counted");

    moody.hangs.store(false, SeqCst);
    let (_, content) = world.post(Some(&cookie), &request("<get-resource-list />")).await;
    assert!(content.contains("The requested session is invalid."), "{content}");
}
