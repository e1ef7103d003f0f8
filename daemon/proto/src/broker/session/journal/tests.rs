//! Complete, truncated and modified files.

use super::*;

fn written(number: u8, stage: LogOnStage) -> Written {
    Written {
        cookie: CookieDigest([number; 32]),
        number: number.into(),
        used: Time::from_millis(1_800_000_000_000),
        stage,
        sealed: vec![0xCC; 3].into(),
    }
}

fn journal() -> Journal {
    let sessions = vec![written(1, LogOnStage::User), written(2, LogOnStage::Probe)];
    Journal { last: 7, sessions }
}

#[test]
fn a_journal_has_the_documented_form() {
    let bytes = Journal { last: 7, sessions: vec![written(1, LogOnStage::User)] }.render();

    let mut expected = b"pcoip-cm-sessions 1\n\0\0\0\0\0\0\0\x07".to_vec();
    expected.extend([1; 32]);
    expected.extend(b"\0\0\0\0\0\0\0\x01\0\0\x01\xA3\x18\x5C\x50\0\x02\0\x03\xCC\xCC\xCC");
    expected.extend(Sha256::digest(&expected));
    assert_eq!(bytes, expected);
}

#[test]
fn a_rendered_journal_can_be_parsed() {
    for journal in [Journal::default(), journal()] {
        assert_eq!(Journal::parse(&journal.clone().render()), Ok(journal));
    }
}

#[test]
fn a_truncated_or_modified_journal_is_damaged() {
    let whole = journal().render();
    for length in HEAD.len()..whole.len() {
        assert_eq!(Journal::parse(&whole[..length]), Err(Unreadable::Damaged), "{length}");
    }
    for place in HEAD.len()..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        assert_eq!(Journal::parse(&changed), Err(Unreadable::Damaged), "{place}");
    }
}

#[test]
fn journals_of_other_versions_are_distinguished() {
    let foreign = [b"pcoip-cm-sessions 2\n".as_slice(), &[0; 40]].concat();
    let large = vec![0; Journal::MAX_BYTES + 1];
    let table = [
        (&b""[..], Unreadable::Damaged),
        (b"something else", Unreadable::Damaged),
        (&foreign, Unreadable::Foreign),
        (&large, Unreadable::TooLarge),
    ];
    for (bytes, error) in table {
        assert_eq!(Journal::parse(bytes), Err(error));
    }
}

#[test]
fn sessions_that_do_not_fit_are_those_worth_least() {
    let sessions = [1, 2, 3].map(|number| match number {
        3 => written(number, LogOnStage::User),
        _ => {
            Written { used: Time::from_millis(number.into()), ..written(number, LogOnStage::Probe) }
        }
    });
    let journal = Journal { last: 7, sessions: sessions.to_vec() };
    let whole = journal.clone().render().len();

    for (room, kept) in [(whole, &[3, 2, 1][..]), (whole - 1, &[3, 2]), (0, &[])] {
        let read = Journal::parse(&journal.clone().render_within(room)).unwrap();

        let numbers: Vec<_> = read.sessions.iter().map(|session| session.number).collect();
        assert_eq!((numbers.as_slice(), read.last), (kept, 7), "{room}");
    }
}
