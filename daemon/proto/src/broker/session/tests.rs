//! Sessions from `hello` to `bye`.

use super::*;
use crate::broker::{Allocation, Authenticate, BrokerTarget};

/// A session that was opened at time 0.
pub(super) fn session(number: u8) -> Session {
    let opening = Opening {
        key: SessionKey::from_random([3; 16]),
        number: number.into(),
        cookie: ClientCookie::from_random([number; 16]),
        id: "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap(),
        client: "192.0.2.3".parse().unwrap(),
        hello: Hello { probe: false, device_name: Some("d".to_owned()) },
        at: at(0),
    };
    Session::open(opening, Version::usual(), BrokerCookies::default())
}

pub(super) fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

pub(super) fn authenticate(method: &str, username: Option<&str>) -> RequestKind {
    let logon = username.map(|name| Logon {
        username: name.to_owned(),
        password: Some("p".into()),
        domain: None,
    });
    let user = username.map(|name| User::new(name, None));
    RequestKind::Authenticate(Authenticate { method: method.to_owned(), logon, user })
}

pub(super) fn user(session: &Session) -> Option<&str> {
    session.logon().map(|logon| logon.username.as_str())
}

pub(super) fn allocate() -> RequestKind {
    RequestKind::AllocateResource(Allocation::default())
}

pub(super) fn granted() -> ResponseKind {
    let hostname = Some("desk".to_owned());
    ResponseKind::AllocateResource(Some(BrokerTarget { ip_address: None, hostname, port: 4172 }))
}

#[test]
fn requests_are_permitted_by_stage() {
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
fn a_logon_with_retries_keeps_the_correct_password() {
    use Authentication::{Complete, Failed, Incomplete};
    let mut session = session(1);
    let steps = [
        (authenticate("password", Some("wrong")), Failed, Stage::Authenticating, None),
        (authenticate("password", Some("u")), Incomplete, Stage::Authenticating, Some("u")),
        (authenticate("dialog", None), Failed, Stage::Authenticating, Some("u")),
        (authenticate("dialog", None), Complete, Stage::Authenticated, Some("u")),
    ];
    for (request, result, stage, remembered) in steps {
        session.answered(&request, &ResponseKind::Authenticate(result), &SetCookies::default());
        assert_eq!((session.stage(), user(&session)), (stage, remembered));
    }

    session.answered(&allocate(), &ResponseKind::AllocateResource(None), &SetCookies::default());
    assert_eq!(session.stage(), Stage::Authenticated);
    session.answered(&allocate(), &granted(), &SetCookies::default());
    assert_eq!(session.stage(), Stage::Allocated);
}

#[test]
fn a_later_wrong_password_discards_the_logon() {
    let mut session = session(1);
    let request = authenticate("password", Some("u"));
    session.answered(
        &request,
        &ResponseKind::Authenticate(Authentication::Complete),
        &SetCookies::default(),
    );

    session.answered(
        &request,
        &ResponseKind::Authenticate(Authentication::Failed),
        &SetCookies::default(),
    );

    assert_eq!((session.stage(), user(&session)), (Stage::Authenticating, None));
}

#[test]
fn after_an_error_only_bye_is_permitted() {
    let mut session = session(1);
    let request = authenticate("password", Some("u"));
    session.answered(
        &request,
        &ResponseKind::Authenticate(Authentication::Complete),
        &SetCookies::default(),
    );

    session.answered(&RequestKind::GetResourceList, &ResponseKind::Error, &SetCookies::default());
    session.answered(
        &request,
        &ResponseKind::Authenticate(Authentication::Complete),
        &SetCookies::default(),
    );
    session.answered(&allocate(), &granted(), &SetCookies::default());

    assert_eq!((session.stage(), user(&session)), (Stage::Invalid, None));
}

#[test]
fn the_brokers_latest_cookie_is_sent_back() {
    let mut session = session(1);
    let set = SetCookies {
        values: vec!["JSESSIONID=1; path=/".to_owned(), "lb=2".to_owned()],
        ..SetCookies::default()
    };

    session.answered(&RequestKind::GetResourceList, &ResponseKind::GetResourceList, &set);

    assert_eq!(session.broker_cookies().header().as_deref(), Some("JSESSIONID=1; lb=2"));
}

#[test]
fn an_oversized_device_name_is_not_kept() {
    for (length, kept) in [(253, true), (254, false)] {
        let opening = Opening {
            key: SessionKey::from_random([3; 16]),
            number: 1,
            cookie: ClientCookie::from_random([1; 16]),
            id: session(1).id,
            client: session(1).client,
            hello: Hello { probe: false, device_name: Some("x".repeat(length)) },
            at: at(0),
        };

        let session = Session::open(opening, Version::usual(), BrokerCookies::default());

        assert_eq!(session.hello.device_name.is_some(), kept, "{length}");
    }
}

#[test]
fn an_oversized_logon_is_not_kept() {
    let logon = |username: usize, password: usize, domain: usize| Logon {
        username: "u".repeat(username),
        password: Some("p".repeat(password).into()),
        domain: Some("d".repeat(domain)),
    };
    let table = [
        (logon(1024, 2048, 255), true),
        (logon(1025, 1, 1), false),
        (logon(1, 2049, 1), false),
        (logon(1, 1, 256), false),
    ];
    for (logon, kept) in table {
        let mut session = session(1);
        let method = "password".to_owned();
        let request =
            RequestKind::Authenticate(Authenticate { method, logon: Some(logon), user: None });

        let answer = ResponseKind::Authenticate(Authentication::Complete);
        session.answered(&request, &answer, &SetCookies::default());

        assert_eq!(session.logon().is_some(), kept, "{request:?}");
        assert_eq!(session.stage(), Stage::Authenticated);
    }
}

#[test]
fn further_steps_of_a_logon_are_about_the_user_of_the_password_step() {
    let long = "x".repeat(2000);
    let table = [
        (Some("u"), Authentication::Incomplete, "u"),
        (Some("u"), Authentication::Failed, "u"),
        (Some(&*long), Authentication::Incomplete, &long[..User::MAX_BYTES]),
    ];
    for (name, result, expected) in table {
        let mut session = session(1);
        assert_eq!(session.user(), None);
        let answer = ResponseKind::Authenticate(result);
        session.answered(&authenticate("password", name), &answer, &SetCookies::default());
        let failed = ResponseKind::Authenticate(Authentication::Failed);
        session.answered(&authenticate("dialog", None), &failed, &SetCookies::default());

        assert_eq!(session.user().unwrap().as_str(), expected);
    }
}

#[test]
fn a_step_whose_answer_nobody_awaits_does_not_log_on() {
    let step = |name| match authenticate("password", name) {
        RequestKind::Authenticate(step) => step,
        other => panic!("{other:?}"),
    };
    let mut session = session(1);

    session.abandon(&step(Some("u")));

    assert_eq!(session.permits(&RequestKind::GetResourceList), Err(Refusal::InvalidSession));
    assert_eq!(session.user().unwrap().as_str(), "u");
    let complete = ResponseKind::Authenticate(Authentication::Complete);
    session.answered(&authenticate("password", Some("v")), &complete, &SetCookies::default());
    session.abandon(&step(None));
    assert_eq!((session.stage(), user(&session)), (Stage::Authenticating, Some("v")));
}
