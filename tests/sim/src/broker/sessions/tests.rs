use std::num::NonZeroU16;

use super::*;
use crate::broker::Target;
use crate::credentials::Credentials;
use crate::http::message::Headers;
use crate::tls::CertificateKind;

const MINE: &str = "0123456789ABCDEF0123456789ABCDEF";
const HELLO: &str = "<hello><client-info/><pcm-info>\
    <product-name>PCoIP Connection Manager</product-name><product-version>1</product-version>\
    <platform>GNU/Linux x86_64</platform><ip-address>192.0.2.1</ip-address>\
    <hostname>cm</hostname></pcm-info><caps><cap>CAP_ALTERNATE_CREDENTIALS</cap></caps></hello>";
const PASSWORD: &str = "<authenticate method=\"password\"><username>u</username>\
    <password>p&amp;</password><domain>d</domain></authenticate>";
const DIALOG: &str = "<authenticate method=\"dialog\"><fields><field><id>PASSCODE</id>\
    <text>123456</text></field></fields><button-id>LOGIN</button-id></authenticate>";
const LIST: &str = "<get-resource-list/>";
const ALLOCATE: &str = "<allocate-resource><resource-id>2</resource-id></allocate-resource>";

fn sessions() -> Sessions {
    Sessions::new(Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        certificate: CertificateKind::Plain,
        credentials: Credentials { user: "u".into(), password: "p&".into(), domain: "d".into() },
        passcode: "123456".into(),
        resources: NonZeroU16::new(2).unwrap(),
        target: Target {
            ips: vec!["192.0.2.9".parse().unwrap()],
            hostname: "ws".to_owned(),
            port: 4172,
        },
    })
}

fn request(message: &str, cookie: Option<&str>) -> Request {
    let mut headers = Headers::default()
        .with("Content-Type", "application/xml")
        .with("X-Forwarded-For", "192.0.2.7");
    if let Some(cookie) = cookie {
        headers = headers.with("Cookie", format!("{COOKIE}={cookie}"));
    }
    let body = format!("<pcoip-broker version=\"2.1\">{message}</pcoip-broker>");
    Request { method: "POST".to_owned(), path: PATH.to_owned(), headers, body }
}

/// Says something in a session, and returns the result-id of the answer.
fn say(sessions: &mut Sessions, message: &str) -> Option<&'static str> {
    let cookie = if message == HELLO { None } else { Some(MINE) };
    let (response, events) = sessions.answer(&request(message, cookie), MINE);
    assert_eq!(response.status, 200, "{events:?}");
    match events.as_slice() {
        [Event::Request(facts)] => facts.result,
        _ => panic!("{events:?}"),
    }
}

#[test]
fn a_user_gets_in_with_two_factors_and_may_try_again() {
    let mut sessions = sessions();
    let steps = [
        (HELLO.to_owned(), None),
        (PASSWORD.replace("p&", "q&"), Some("AUTH_FAILED_UNKNOWN_USERNAME_OR_PASSWORD")),
        (PASSWORD.to_owned(), Some("AUTH_SUCCESSFUL_AND_INCOMPLETE")),
        (DIALOG.replace("123456", "0"), Some("AUTH_FAILED_DIALOG_INVALID_USER_ENTRY")),
        (DIALOG.to_owned(), Some("AUTH_SUCCESSFUL_AND_COMPLETE")),
        (LIST.to_owned(), Some("LIST_SUCCESSFUL")),
        (ALLOCATE.to_owned(), Some("ALLOC_SUCCESSFUL")),
        (ALLOCATE.replace('2', "3"), Some("ALLOC_FAILED_TO_ALLOCATE_BROKER")),
        ("<bye />".to_owned(), None),
        ("<bye />".to_owned(), Some("ERR_INVALID_SESSION")),
    ];

    for (message, result) in steps {
        assert_eq!(say(&mut sessions, &message), result, "{message}");
    }
}

#[test]
fn a_request_out_of_order_is_an_error_and_changes_nothing() {
    let mut sessions = sessions();
    let steps = [
        (PASSWORD, Some("ERR_INVALID_SESSION")),
        (HELLO, None),
        (DIALOG, Some("ERR_GENERIC")),
        (LIST, Some("ERR_GENERIC")),
        (PASSWORD, Some("AUTH_SUCCESSFUL_AND_INCOMPLETE")),
        (ALLOCATE, Some("ERR_GENERIC")),
        (DIALOG, Some("AUTH_SUCCESSFUL_AND_COMPLETE")),
        ("<other/>", Some("ERR_GENERIC")),
        (LIST, Some("LIST_SUCCESSFUL")),
    ];

    for (message, result) in steps {
        assert_eq!(say(&mut sessions, message), result, "{message}");
    }
}

#[test]
fn a_violation_is_answered_with_500_and_told() {
    let simulated = HELLO.replace(
        "<client-info/>",
        &format!("<client-info><product-name>{SIMULATED_CLIENT}</product-name></client-info>"),
    );
    let table = [
        (request(LIST, None), "own cookie is not replayed"),
        (request(HELLO.replace("caps", "cops").as_str(), None), &Violation::Caps.to_string()),
        (
            request(&simulated, None),
            "unknown content of `client-info` did not arrive byte for byte",
        ),
        (
            Request { body: "<a>".to_owned(), ..request(HELLO, None) },
            "body cannot be read: document is not one closed element",
        ),
    ];

    for (request, what) in table {
        let (response, events) = sessions().answer(&request, MINE);
        assert_eq!(response.status, 500);
        assert_eq!(events.last(), Some(&Event::Violation { what: what.to_owned() }));
    }
}

#[test]
fn a_session_begins_with_a_cookie_whose_middle_is_not_shown() {
    let mut sessions = sessions();

    let (response, _) = sessions.answer(&request(HELLO, None), MINE);
    let (_, events) = sessions.answer(&request(LIST, Some(MINE)), "other");

    let cookie = response.headers.value("Set-Cookie").unwrap();
    assert_eq!(cookie, format!("{COOKIE}={MINE}{COOKIE_ATTRIBUTES}"));
    let [Event::Request(facts)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(facts.cookie.as_deref(), Some("0123****CDEF"));
    assert_eq!(facts.x_forwarded_for.as_deref(), Some("192.0.2.7"));
    assert_eq!(facts.session, Some(1));
}

#[test]
fn agents_take_turns() {
    let mut sessions = sessions();
    sessions.options.target.ips.push("192.0.2.10".parse().unwrap());

    let mut agents = Vec::new();
    for cookie in [MINE, "0123456789ABCDEF0123456789ABCDEE"] {
        sessions.answer(&request(HELLO, None), cookie);
        for message in [PASSWORD, DIALOG] {
            sessions.answer(&request(message, Some(cookie)), cookie);
        }
        let (response, _) = sessions.answer(&request(ALLOCATE, Some(cookie)), cookie);
        agents.push(if response.body.contains("192.0.2.10") { 1 } else { 0 });
    }

    assert_eq!(agents, [1, 0]);
}
