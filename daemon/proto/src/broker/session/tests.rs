//! Sessions from `hello` to `bye`, and the table that holds them.

use std::time::Duration;

use super::*;
use crate::broker::{Allocation, Authenticate, BrokerTarget};

const IDLE: Duration = Duration::from_secs(900);

fn session(number: u8) -> Session {
    let opening = Opening {
        number: number.into(),
        cookie: ClientCookie::from_random([number; 16]),
        id: "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap(),
        client: "192.0.2.3".parse().unwrap(),
        hello: Hello { probe: false, device_name: Some("d".to_owned()) },
        at: at(0),
    };
    Session::open(opening, Version::usual(), BrokerCookies::default())
}

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn authenticate(method: &str, username: Option<&str>) -> RequestKind {
    let logon = username.map(|name| Logon {
        username: name.to_owned(),
        password: Some("p".into()),
        domain: None,
    });
    RequestKind::Authenticate(Authenticate { method: method.to_owned(), logon })
}

fn user(session: &Session) -> Option<&str> {
    session.logon().map(|logon| logon.username.as_str())
}

fn allocate() -> RequestKind {
    RequestKind::AllocateResource(Allocation::default())
}

fn granted() -> ResponseKind {
    let hostname = Some("desk".to_owned());
    ResponseKind::AllocateResource(Some(BrokerTarget { ip_address: None, hostname }))
}

#[test]
fn every_request_is_permitted_or_refused_by_the_stage() {
    use Refusal::InvalidSession;
    let requests = [
        RequestKind::Bye,
        RequestKind::Hello(Hello::default()),
        authenticate("password", None),
        RequestKind::GetResourceList,
        allocate(),
        RequestKind::Other("x".to_owned()),
    ];
    let (yes, no) = (Ok(()), Err(InvalidSession));
    let table = [
        (Stage::Greeted, [yes, no, yes, yes, yes, yes]),
        (Stage::Authenticating, [yes, no, yes, no, no, yes]),
        (Stage::Authenticated, [yes, no, yes, yes, yes, yes]),
        (Stage::Allocated, [yes, no, yes, yes, yes, yes]),
        (Stage::Invalid, [yes, no, no, no, no, no]),
    ];
    for (stage, verdicts) in table {
        let session = Session { stage, ..session(1) };
        for (request, verdict) in requests.iter().zip(verdicts) {
            assert_eq!(session.permits(request), verdict, "{stage:?} {request:?}");
        }
    }
}

#[test]
fn a_login_with_a_retry_and_a_second_factor_remembers_the_password_that_was_right() {
    use Authentication::{Complete, Failed, Incomplete};
    let mut session = session(1);
    let steps = [
        (authenticate("password", Some("wrong")), Failed, Stage::Authenticating, None),
        (authenticate("password", Some("u")), Incomplete, Stage::Authenticating, Some("u")),
        (authenticate("dialog", None), Failed, Stage::Authenticating, Some("u")),
        (authenticate("dialog", None), Complete, Stage::Authenticated, Some("u")),
    ];
    for (request, result, stage, remembered) in steps {
        session.answered(&request, &ResponseKind::Authenticate(result), &[]);
        assert_eq!((session.stage(), user(&session)), (stage, remembered));
    }

    session.answered(&allocate(), &ResponseKind::AllocateResource(None), &[]);
    assert_eq!(session.stage(), Stage::Authenticated);
    session.answered(&allocate(), &granted(), &[]);
    assert_eq!(session.stage(), Stage::Allocated);
}

#[test]
fn a_later_password_that_is_wrong_takes_the_logon_away() {
    let mut session = session(1);
    let request = authenticate("password", Some("u"));
    session.answered(&request, &ResponseKind::Authenticate(Authentication::Complete), &[]);

    session.answered(&request, &ResponseKind::Authenticate(Authentication::Failed), &[]);

    assert_eq!((session.stage(), user(&session)), (Stage::Authenticating, None));
}

#[test]
fn after_an_error_only_bye_is_left() {
    let mut session = session(1);
    let request = authenticate("password", Some("u"));
    session.answered(&request, &ResponseKind::Authenticate(Authentication::Complete), &[]);

    session.answered(&RequestKind::GetResourceList, &ResponseKind::Error, &[]);
    session.answered(&request, &ResponseKind::Authenticate(Authentication::Complete), &[]);
    session.answered(&allocate(), &granted(), &[]);

    assert_eq!((session.stage(), user(&session)), (Stage::Invalid, None));
}

#[test]
fn the_brokers_newest_cookie_is_replayed() {
    let mut session = session(1);
    let set = ["JSESSIONID=1; path=/".to_owned(), "lb=2".to_owned()];

    session.answered(&RequestKind::GetResourceList, &ResponseKind::GetResourceList, &set);

    assert_eq!(session.broker_cookies().header().as_deref(), Some("JSESSIONID=1; lb=2"));
}

#[test]
fn a_session_is_read_back_without_its_password() {
    let mut session = session(7);
    let request = authenticate("password", Some("u"));
    session.answered(&request, &ResponseKind::Authenticate(Authentication::Complete), &[]);

    let written = serde_json::to_string(&session).unwrap();
    let read: Session = serde_json::from_str(&written).unwrap();

    assert!(!written.contains("\"p\""), "{written}");
    assert_eq!((read.number, read.stage(), user(&read)), (7, Stage::Authenticated, Some("u")));
    assert!(read.logon().unwrap().password.is_none());
    assert_eq!((read.cookie, read.used), (session.cookie, session.used));
}

#[test]
fn an_idle_session_is_ended_once() {
    let mut sessions = Sessions::new(10, IDLE);
    let cookie = session(1).cookie;
    sessions.insert(session(1)).unwrap();

    assert!(sessions.find(&cookie, at(899)).is_some());
    assert!(sessions.expire(at(1798)).is_empty());
    assert!(sessions.find(&cookie, at(1799)).is_none(), "900 s after its last use");
    assert_eq!(sessions.expire(at(1799)).len(), 1);
    assert_eq!(sessions.expire(at(1799)).len(), 0);
    assert!(sessions.is_empty());
}

#[test]
fn a_probe_is_kept_shortly() {
    let mut sessions = Sessions::new(10, IDLE);
    let mut probe = session(1);
    probe.hello.probe = true;
    sessions.insert(probe).unwrap();

    assert_eq!(sessions.expire(at(59)).len(), 0);
    assert_eq!(sessions.expire(at(60)).len(), 1);
}

#[test]
fn a_full_table_gives_up_strangers_and_keeps_users() {
    let mut sessions = Sessions::new(2, IDLE);
    sessions.insert(session(1)).unwrap();
    sessions.insert(session(2)).unwrap();
    sessions.find(&session(1).cookie, at(1)).unwrap();

    let gone = sessions.insert(session(3)).unwrap();

    assert_eq!(gone.map(|s| s.number), Some(2));
    assert!(sessions.find(&session(2).cookie, at(2)).is_none());
    for number in [1, 3] {
        sessions.find(&session(number).cookie, at(2)).unwrap().stage = Stage::Authenticated;
    }
    assert_eq!(sessions.insert(session(4)).err(), Some(Full));
    assert_eq!(sessions.len(), 2);
}

#[test]
fn a_removed_session_is_unknown() {
    let mut sessions = Sessions::new(2, IDLE);
    sessions.insert(session(1)).unwrap();

    assert_eq!(sessions.remove(&session(1).cookie).map(|s| s.number), Some(1));
    assert!(sessions.find(&session(1).cookie, at(0)).is_none());
    assert!(sessions.remove(&session(1).cookie).is_none());
}
