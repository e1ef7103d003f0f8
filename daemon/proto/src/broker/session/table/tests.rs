//! The table of sessions, before and after a restart.

use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::{
    super::{
        super::{Authentication, Logon, ResponseKind, SetCookies},
        Stage,
        tests::{allocate, at, authenticate, granted, session, user},
    },
    *,
};

const IDLE: Duration = Duration::from_secs(900);

/// A seal that only marks the data with its cookie.
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
    let set = SetCookies { values: vec!["JSESSIONID=b".to_owned()], ..SetCookies::default() };
    let change = |s: &mut Session| drop(s.answered(&request, &complete, &set));
    sessions.change(&cookie(number), now, change).unwrap();
}

/// The table after a restart from its journal.
fn restarted(sessions: &mut Sessions<Tape>, limit: usize, now: Time) -> Sessions<Tape> {
    let mut restarted = self::sessions(limit);
    let journal = Journal::parse(&sessions.journal(Extent::All).render()).unwrap().journal;
    restarted.restore(journal, now);
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
fn a_probes_session_expires_early() {
    let mut sessions = sessions(10);
    let mut probe = session(1);
    probe.hello.probe = true;
    sessions.insert(probe).unwrap();

    assert!(sessions.expire(at(59)).is_empty());
    assert_eq!(sessions.expire(at(60)), [1]);
}

#[test]
fn a_session_is_in_use_from_the_first_right_password_until_its_resource() {
    let mut sessions = sessions(10);
    for number in 1..=3 {
        sessions.insert(session(number)).unwrap();
    }
    step(&mut sessions, 1, Authentication::Failed);
    assert_eq!(sessions.in_use(at(1)), 0, "a stranger loses nothing");

    step(&mut sessions, 2, Authentication::Incomplete);
    log_on(&mut sessions, 3, at(60));
    assert_eq!(sessions.in_use(at(60)), 2);
    assert_eq!(sessions.in_use(at(121)), 1, "one has asked nothing for too long");
    let got_a_resource = |s: &mut Session| {
        drop(s.answered(&allocate(), &granted(), &SetCookies::default()));
    };
    sessions.change(&cookie(3), at(122), got_a_resource).unwrap();
    assert_eq!(sessions.in_use(at(122)), 0);

    log_on(&mut sessions, 1, at(122));
    assert_eq!(sessions.in_use(at(122)), 1);
    sessions.change(&cookie(1), at(122), Session::fail).unwrap();
    assert_eq!((sessions.in_use(at(122)), sessions.len()), (0, 3), "a broken one");
}

#[test]
fn only_a_request_to_the_broker_keeps_a_session_in_use() {
    let mut sessions = sessions(10);
    sessions.insert(session(1)).unwrap();
    log_on(&mut sessions, 1, at(0));

    sessions.find(&cookie(1), at(100)).unwrap();
    assert_eq!(sessions.in_use(at(119)), 1);
    assert_eq!(sessions.in_use(at(120)), 0, "a refused request");
    sessions.find(&cookie(1), at(200)).unwrap();
    sessions.note_passed_on(&cookie(1), at(200));
    assert_eq!(sessions.in_use(at(319)), 1);
    assert_eq!(sessions.in_use(at(320)), 0);

    let after = restarted(&mut sessions, 10, at(250));
    assert_eq!((after.in_use(at(319)), after.in_use(at(320))), (1, 0));
}

#[test]
fn a_full_table_removes_strangers_and_keeps_users() {
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

/// One step of a log-on, which ends so.
fn step(sessions: &mut Sessions<Tape>, number: u8, result: Authentication) {
    let request = authenticate("password", Some("u"));
    let answer = ResponseKind::Authenticate(result);
    sessions
        .change(&cookie(number), at(1), |s| {
            drop(s.answered(&request, &answer, &SetCookies::default()));
        })
        .unwrap();
}

fn from(host: u8, number: u8) -> Session {
    Session { client: [192, 0, 2, host].into(), ..session(number) }
}

#[test]
fn hellos_of_one_address_replace_each_other_first() {
    let mut sessions = sessions(4);
    for (host, number) in [(7, 1), (8, 2), (8, 3), (9, 4)] {
        assert_eq!(sessions.insert(from(host, number)), Ok(None));
    }

    assert_eq!(sessions.insert(from(10, 5)), Ok(Some(2)), "of the address that has most");
    let numbers = (6..=200).map(|number| sessions.insert(from(10, number)).unwrap().unwrap());
    assert!(numbers.eq(5..200), "its own");
    assert!([1, 3, 4].iter().all(|number| sessions.find(&cookie(*number), at(1)).is_some()));
}

#[test]
fn a_session_with_a_correct_password_is_kept_longer_than_a_hello() {
    let mut sessions = sessions(3);
    for number in 1..=3 {
        sessions.insert(from(7, number)).unwrap();
    }
    step(&mut sessions, 1, Authentication::Incomplete);
    step(&mut sessions, 2, Authentication::Failed);

    assert_eq!(sessions.insert(from(8, 4)), Ok(Some(3)));
    assert_eq!(sessions.insert(from(9, 5)), Ok(Some(2)), "a wrong password is no better");
    step(&mut sessions, 4, Authentication::Incomplete);
    step(&mut sessions, 5, Authentication::Incomplete);
    assert_eq!(sessions.insert(from(9, 6)), Err(Full), "all gave a right password");
}

#[test]
fn hellos_are_only_persisted_at_the_end() {
    let mut sessions = sessions(2);
    for number in 1..=20 {
        sessions.insert(session(number)).unwrap();
        step(&mut sessions, number, Authentication::Failed);
    }
    sessions.find(&cookie(20), at(2)).unwrap();
    sessions.remove(&cookie(20)).unwrap();
    sessions.expire(at(5000));
    assert_eq!(sessions.take_records(), [], "the file stays");

    sessions.insert(session(21)).unwrap();
    sessions.insert(session(22)).unwrap();
    step(&mut sessions, 21, Authentication::Incomplete);
    assert_eq!(recorded(&mut sessions), ["21"]);
    let mut numbers = |which| {
        let journal: Journal = sessions.journal(which);
        journal.sessions.iter().map(|written| written.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(Extent::LoggingOn), [21]);
    assert_eq!(numbers(Extent::All).len(), 2);
}

/// The recorded changes: the numbers of sessions, and `-` for a removed one.
fn recorded(sessions: &mut Sessions<Tape>) -> Vec<String> {
    let name = |record| match record {
        Record::Session(written) => written.number.to_string(),
        Record::Removed(_) => "-".to_owned(),
        Record::Last(_) => "last".to_owned(),
    };
    sessions.take_records().into_iter().map(name).collect()
}

#[test]
fn every_change_of_a_persisted_session_is_recorded() {
    let mut sessions = sessions(2);
    for number in 1..=2 {
        sessions.insert(session(number)).unwrap();
        step(&mut sessions, number, Authentication::Incomplete);
    }
    assert_eq!(recorded(&mut sessions), ["1", "2"]);

    log_on(&mut sessions, 1, at(2));
    assert_eq!(recorded(&mut sessions), ["1"]);
    sessions.change(&cookie(2), at(2), Session::fail).unwrap();
    assert_eq!(recorded(&mut sessions), ["-"], "it is worth nothing any more");
    assert_eq!(sessions.insert(session(3)), Ok(Some(2)));
    assert_eq!(recorded(&mut sessions), [""; 0]);
    sessions.remove(&cookie(1)).unwrap();
    assert_eq!(recorded(&mut sessions), ["-"]);
    step(&mut sessions, 3, Authentication::Incomplete);
    assert_eq!(recorded(&mut sessions), ["3"]);
    sessions.expire(at(5000));
    assert_eq!(recorded(&mut sessions), ["-"]);
}

#[test]
fn after_all_sessions_were_written_the_end_of_each_is_recorded() {
    let mut sessions = sessions(2);
    sessions.insert(session(1)).unwrap();
    sessions.insert(session(2)).unwrap();
    let journal = sessions.journal(Extent::All);
    assert_eq!(journal.sessions.len(), 2);

    sessions.remove(&cookie(1)).unwrap();
    assert_eq!(recorded(&mut sessions), ["-"]);
    sessions.journal(Extent::LoggingOn);
    sessions.remove(&cookie(2)).unwrap();
    assert_eq!(recorded(&mut sessions), [""; 0], "the file does not contain it any more");
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
fn a_session_is_restored_completely_after_a_restart() {
    let mut before = sessions(10);
    assert_eq!(before.next_number(), 1);
    before.insert(session(1)).unwrap();
    log_on(&mut before, 1, at(5));

    let mut after = restarted(&mut before, 10, at(6));

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
fn a_restart_does_not_change_the_lifetime_of_a_session() {
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
        let mut after = restarted(&mut before, 10, at(restart));

        assert_eq!(after.find(&cookie(1), at(shown)).is_some(), there, "{restart} {shown}");
        assert_eq!(after.len(), usize::from(restart < 1000));
    }
}

#[test]
fn a_restored_session_without_a_request_expires_like_others() {
    let mut before = sessions(10);
    for number in 1..=2 {
        assert_eq!(before.next_number(), u64::from(number));
        before.insert(session(number)).unwrap();
    }
    log_on(&mut before, 2, at(1));

    let mut after = restarted(&mut restarted(&mut before, 10, at(2)), 2, at(2));

    assert_eq!(after.journal(Extent::All).render(), before.journal(Extent::All).render());
    assert_eq!(after.insert(session(3)), Ok(Some(1)), "a stranger has to go");
    assert_eq!(after.remove(&cookie(2)), Some(2));
    assert_eq!(after.expire(at(900)), [3]);
}

#[test]
fn with_a_lower_limit_users_and_then_recent_sessions_are_restored() {
    let mut before = sessions(10);
    for number in 1..=4 {
        before.insert(session(number)).unwrap();
        before.find(&cookie(number), at(number.into())).unwrap();
    }
    log_on(&mut before, 1, at(1));

    let mut after = restarted(&mut before, 2, at(5));

    let there = |number| after.find(&cookie(number), at(5)).is_some();
    assert_eq!([1, 2, 3, 4].map(there), [true, false, false, true]);
}

#[test]
fn the_file_does_not_reveal_the_length_of_a_password() {
    let lengths = ["p", "a much longer password"].map(|password| {
        let mut session = session(1);
        let password = Some(password.into());
        session.logon = Some(Logon { username: "u".to_owned(), password, domain: None });
        session.sealed(&Tape).unwrap().len()
    });

    assert_eq!(lengths, [32 + 512; 2]);
}

#[test]
fn an_ended_or_oversized_session_is_not_persisted() {
    let mut sessions = sessions(10);
    for number in 1..=2 {
        sessions.insert(session(number)).unwrap();
    }
    sessions.remove(&cookie(1));
    let request = authenticate("password", Some("u"));
    let complete = ResponseKind::Authenticate(Authentication::Complete);
    // A quotation mark takes two bytes in the file.
    let set =
        SetCookies { values: vec![format!("a={}", "\"".repeat(4090))], ..SetCookies::default() };
    sessions.change(&cookie(2), at(1), |s| drop(s.answered(&request, &complete, &set))).unwrap();

    assert!(sessions.find(&cookie(2), at(2)).is_some());
    assert!(restarted(&mut sessions, 10, at(2)).is_empty());
}
