//! Complete, truncated and modified files, and records that are appended to them.

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

fn read(file: &[u8]) -> Journal {
    Journal::parse(file).unwrap().journal
}

#[test]
fn a_journal_has_the_documented_form() {
    let bytes = Journal { last: 7, sessions: vec![written(1, LogOnStage::FirstFactor)] }.render();

    let lines: Vec<_> = std::str::from_utf8(&bytes).unwrap().lines().collect();
    let body = |line: &str| line["ffff ffffffff ".len()..].to_owned();
    assert_eq!(lines[0], "pcoip-cm-sessions 2");
    assert_eq!(body(lines[1]), r#"{"last":7}"#);
    let cookie = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    let session = format!(
        r#"{{"session":{{"cookie":"{cookie}","number":1,"used":1800000000000,"stage":"first-factor","sealed":"zMzM"}}}}"#
    );
    assert_eq!(body(lines[2]), session);
    let mut removed = Vec::new();
    Record::Removed(CookieDigest([1; 32])).write(&mut removed);
    assert_eq!(
        body(std::str::from_utf8(&removed).unwrap()),
        format!("{{\"removed\":\"{cookie}\"}}\n")
    );
}

#[test]
fn a_rendered_journal_can_be_parsed() {
    for journal in [Journal::default(), journal()] {
        let loaded = Loaded { journal: journal.clone(), damaged: 0, torn: 0 };
        assert_eq!(Journal::parse(&journal.render()).unwrap(), loaded);
    }
}

#[test]
fn records_change_the_journal() {
    let mut file = journal().render();
    let later = Written { stage: LogOnStage::User, ..written(2, LogOnStage::User) };
    let records = [
        Record::Removed(CookieDigest([1; 32])),
        Record::Session(written(9, LogOnStage::Stranger)),
        Record::Session(later.clone()),
        Record::Removed(CookieDigest([5; 32])),
    ];
    records.iter().for_each(|record| record.write(&mut file));

    let expected = Journal { last: 9, sessions: vec![later, written(9, LogOnStage::Stranger)] };
    assert_eq!(read(&file), expected);
}

#[test]
fn combined_records_lead_to_the_same_journal() {
    let session = |number, used| {
        let used = Time::from_millis(used);
        Record::Session(Written { used, ..written(number, LogOnStage::User) })
    };
    let removed = |number| Record::Removed(CookieDigest([number; 32]));
    let mut records = vec![session(1, 1), removed(2), session(3, 1), removed(1), session(3, 2)];
    let replayed = |records: &[Record]| {
        let mut file = journal().render();
        records.iter().for_each(|record| record.write(&mut file));
        read(&file)
    };
    let all = replayed(&records);

    Record::combine(&mut records);

    assert_eq!(records, [removed(2), removed(1), session(3, 2)]);
    assert_eq!(replayed(&records), all);
}

#[test]
fn a_session_is_lost_only_if_its_own_record_is_damaged() {
    let whole = journal().render();
    let starts: Vec<_> =
        whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    for place in starts[0] + 1..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;

        let loaded = Journal::parse(&changed).unwrap();

        // A modified line end also damages the next record.
        let lost = if starts[1..].contains(&place) { 2 } else { 1 };
        let left = loaded.journal.count() + usize::from(loaded.journal.last == 7);
        assert!(left + lost >= 3, "{place}: {loaded:?}");
        assert!(loaded.journal.sessions.iter().all(|one| journal().sessions.contains(one)));
        assert!(loaded.damaged + loaded.torn > 0, "{place}");
    }
    for length in starts[0] + 1..whole.len() {
        let loaded = Journal::parse(&whole[..length]).unwrap();
        assert_eq!((loaded.damaged, loaded.torn > 0), (0, !starts.contains(&(length - 1))));
    }
}

#[test]
fn journals_of_other_versions_are_distinguished() {
    let large = vec![0; Journal::MAX_BYTES + 1];
    let of_version_1 = [b"pcoip-cm-sessions 1\n".as_slice(), &[0; 40]].concat();

    for bytes in [&b""[..], b"something else", b"pcoip-cm-sessions 2"] {
        assert!(matches!(Journal::parse(bytes), Err(Unreadable::Headless)), "{bytes:?}");
    }
    assert!(matches!(Journal::parse(&of_version_1), Err(Unreadable::Foreign(1, 2))));
    assert!(matches!(Journal::parse(&large), Err(Unreadable::TooLarge(_))));
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
        let read = read(&journal.clone().render_within(room));

        let numbers: Vec<_> = read.sessions.iter().map(|session| session.number).collect();
        assert_eq!((numbers.as_slice(), read.last), (kept, 7), "{room}");
    }
}

#[test]
fn the_largest_session_fits_into_a_record() {
    let sealed = vec![0xFF; MAX_PLAIN + 28].into();
    let largest = Written {
        number: u64::MAX,
        used: Time::from_millis(u64::MAX),
        sealed,
        ..written(1, LogOnStage::FirstFactor)
    };
    let journal = Journal { last: u64::MAX, sessions: vec![largest] };

    assert_eq!(read(&journal.clone().render()), journal);
}
