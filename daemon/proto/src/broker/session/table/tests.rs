//! The table, before and after a restart.

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{
    super::{
        super::{Authentication, Logon, ResponseKind},
        Stage,
        tests::{at, authenticate, session, user},
    },
    *,
};

const IDLE: Duration = Duration::from_secs(900);

/// Shows who sealed.
struct Tape;

impl Seal for Tape {
    fn seal(&self, cookie: &ClientCookie, plain: &[u8]) -> Option<Vec<u8>> {
        Some([cookie.expose().as_bytes(), plain].concat())
    }

    fn unseal(&self, cookie: &ClientCookie, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        sealed.strip_prefix(cookie.expose().as_bytes()).map(|plain| plain.to_vec().into())
    }
}

fn sessions(limit: usize) -> Sessions<Tape> {
    Sessions::new(limit, IDLE, Tape)
}

fn cookie(number: u8) -> ClientCookie {
    session(number).cookie
}

fn log_on(sessions: &mut Sessions<Tape>, number: u8, now: Time) {
    let request = authenticate("password", Some("u"));
    let complete = ResponseKind::Authenticate(Authentication::Complete);
    let set = ["JSESSIONID=b".to_owned()];
    sessions.change(&cookie(number), now, |s| s.answered(&request, &complete, &set)).unwrap();
}

/// What is there when what was written down is read back.
fn restarted(sessions: &Sessions<Tape>, limit: usize, now: Time) -> Sessions<Tape> {
    let mut restarted = self::sessions(limit);
    restarted.restore(Journal::parse(&sessions.journal().render()).unwrap(), now);
    restarted
}

#[test]
fn an_idle_session_is_ended_once() {
    let mut sessions = sessions(10);
    sessions.insert(session(1)).unwrap();

    assert!(sessions.find(&cookie(1), at(899)).is_some());
    assert!(sessions.expire(at(1798)).is_empty());
    assert!(sessions.find(&cookie(1), at(1799)).is_none(), "900 s after its last use");
    assert_eq!(sessions.expire(at(1799)), [1]);
    assert!(sessions.expire(at(1799)).is_empty());
    assert!(sessions.is_empty());
}

#[test]
fn a_probe_is_kept_shortly() {
    let mut sessions = sessions(10);
    let mut probe = session(1);
    probe.hello.probe = true;
    sessions.insert(probe).unwrap();

    assert!(sessions.expire(at(59)).is_empty());
    assert_eq!(sessions.expire(at(60)), [1]);
}

#[test]
fn a_full_table_gives_up_strangers_and_keeps_users() {
    let mut sessions = sessions(2);
    sessions.insert(session(1)).unwrap();
    sessions.insert(session(2)).unwrap();
    sessions.find(&cookie(1), at(1)).unwrap();

    assert_eq!(sessions.insert(session(3)), Ok(Some(2)));
    assert!(sessions.find(&cookie(2), at(2)).is_none());
    for number in [1, 3] {
        log_on(&mut sessions, number, at(2));
    }
    assert_eq!(sessions.insert(session(4)), Err(Full));
    assert_eq!(sessions.len(), 2);
}

#[test]
fn a_removed_session_is_unknown() {
    let mut sessions = sessions(2);
    sessions.insert(session(1)).unwrap();

    assert_eq!(sessions.remove(&cookie(1)), Some(1));
    assert!(sessions.find(&cookie(1), at(0)).is_none());
    assert_eq!(sessions.remove(&cookie(1)), None);
}

#[test]
fn a_session_goes_on_after_a_restart_with_everything_it_had() {
    let mut before = sessions(10);
    assert_eq!(before.next_number(), 1);
    before.insert(session(1)).unwrap();
    log_on(&mut before, 1, at(5));

    let mut after = restarted(&before, 10, at(6));

    assert_eq!((after.len(), after.next_number()), (1, 2));
    assert!(after.find(&cookie(2), at(6)).is_none());
    let found = after.find(&cookie(1), at(6)).unwrap();
    assert_eq!((found.number, found.stage(), user(found)), (1, Stage::Authenticated, Some("u")));
    let password = found.logon().unwrap().password.as_ref().unwrap();
    assert_eq!(password.expose_secret(), "p");
    assert_eq!(found.broker_cookies().header().as_deref(), Some("JSESSIONID=b"));
    assert_eq!((&found.cookie, found.opened), (&cookie(1), at(0)));
}

#[test]
fn a_restart_neither_prolongs_nor_shortens_a_session() {
    let mut before = sessions(10);
    before.insert(session(1)).unwrap();
    before.find(&cookie(1), at(100)).unwrap();

    for (restart, shown, there) in [
        (101, 999, true),
        (101, 1000, false),
        (1000, 1000, false),
        (50, 949, true),
        (50, 950, false),
    ] {
        let mut after = restarted(&before, 10, at(restart));

        assert_eq!(after.find(&cookie(1), at(shown)).is_some(), there, "{restart} {shown}");
        assert_eq!(after.len(), usize::from(restart < 1000));
    }
}

#[test]
fn a_session_whose_cookie_was_not_shown_again_is_kept_and_ended_like_others() {
    let mut before = sessions(10);
    before.insert(session(1)).unwrap();
    before.insert(session(2)).unwrap();
    log_on(&mut before, 2, at(1));

    let mut after = restarted(&restarted(&before, 10, at(2)), 2, at(2));

    assert_eq!(after.journal().render(), before.journal().render());
    assert_eq!(after.insert(session(3)), Ok(Some(1)), "a stranger has to go");
    assert_eq!(after.remove(&cookie(2)), Some(2));
    assert_eq!(after.expire(at(900)), [3]);
}

#[test]
fn where_places_are_fewer_than_before_users_come_first_and_then_the_latest() {
    let mut before = sessions(10);
    for number in 1..=4 {
        before.insert(session(number)).unwrap();
        before.find(&cookie(number), at(number.into())).unwrap();
    }
    log_on(&mut before, 1, at(1));

    let mut after = restarted(&before, 2, at(5));

    let there = |number| after.find(&cookie(number), at(5)).is_some();
    assert_eq!([1, 2, 3, 4].map(there), [true, false, false, true]);
}

#[test]
fn what_is_written_down_does_not_tell_how_long_a_password_is() {
    let lengths = ["p", "a much longer password"].map(|password| {
        let mut session = session(1);
        let password = Some(password.into());
        session.logon = Some(Logon { username: "u".to_owned(), password, domain: None });
        session.sealed(&Tape).unwrap().len()
    });

    assert_eq!(lengths, [32 + 512; 2]);
}

#[test]
fn a_session_that_ended_or_is_too_large_is_not_written_down() {
    let mut sessions = sessions(10);
    for number in 1..=2 {
        sessions.insert(session(number)).unwrap();
    }
    sessions.remove(&cookie(1));
    let request = authenticate("password", Some("u"));
    let complete = ResponseKind::Authenticate(Authentication::Complete);
    // Written down, every quotation mark takes two bytes.
    let set = [format!("a={}", "\"".repeat(4090))];
    sessions.change(&cookie(2), at(1), |s| s.answered(&request, &complete, &set)).unwrap();

    assert!(sessions.find(&cookie(2), at(2)).is_some());
    assert!(restarted(&sessions, 10, at(2)).is_empty());
}
