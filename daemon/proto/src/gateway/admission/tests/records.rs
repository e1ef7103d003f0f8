//! The records of the journal lead to the state of the admission, whatever happened and wherever
//! the file ends.

use proptest::prelude::*;

use super::{
    journal::{read, restart},
    *,
};
use crate::journal::Unreadable;

/// The content of a file with these records.
fn file(records: &[Record]) -> Vec<u8> {
    let mut file = Journal::default().render();
    records.iter().for_each(|record| record.write(&mut file));
    file
}

fn replayed(records: &[Record]) -> Journal {
    let mut replay = Replay::default();
    records.iter().cloned().for_each(|record| replay.apply(record));
    replay.journal()
}

/// The records of a few sessions in every state.
fn some() -> Vec<Record> {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    let control = world.connect(2, "192.0.2.1");
    world.close(control);
    let key = Some(SessionKey::from_random([7; 16]));
    let hostname = Some("desk.example".parse().unwrap());
    let keyed = Announcement { key, hostname, ..world.announcement(3) };
    world.admission.announce(keyed, START).unwrap();
    world.admit(3, "2001:db8::1").unwrap();
    world.wait(240);
    world.wait(60);
    world.wait(60);
    world.announce(4).unwrap();
    let records = world.admission.take_records();
    let kinds: [fn(&Record) -> bool; 3] = [
        |record| matches!(record, Record::Session(_)),
        |record| matches!(record, Record::Ended(..)),
        |record| matches!(record, Record::Forgotten(_)),
    ];
    assert!(kinds.into_iter().all(|kind| records.iter().any(kind)));
    records
}

/// Every record of a session, as a line of a file.
fn sessions(records: impl IntoIterator<Item = Record>) -> Vec<Vec<u8>> {
    let sessions = records.into_iter().filter(|record| matches!(record, Record::Session(_)));
    sessions.map(|record| file(&[record])).collect()
}

#[test]
fn each_record_is_a_line_of_length_checksum_and_json() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    world.wait(240);
    world.wait(120);

    let file = String::from_utf8(file(&world.admission.take_records())).unwrap();

    let (id, tag) = (id(1), String::from(tag(1)));
    let expected = [
        format!(
            "{{\"session\":{{\"id\":\"{id}\",\"agent\":\"10.0.0.1:4172\",\"tag\":\"{tag}\",\
             \"issued\":1800000000000,\"client\":null,\
             \"standing\":{{\"announced\":{{\"until\":1800000240000}}}}}}}}"
        ),
        format!(
            "{{\"ended\":[\"{id}\",\
             {{\"until\":1800000360000,\"tag\":\"{tag}\",\"issued\":1800000000000}}]}}"
        ),
        "{\"forgotten\":1800000360000}".to_owned(),
    ];
    let frame = |body: &String| {
        format!("{:04x} {:08x} {body}\n", body.len(), crc32c::crc32c(body.as_bytes()))
    };
    let expected = expected.iter().map(frame).collect::<String>();
    assert_eq!(file, format!("pcoip-sg-sessions 2\n{expected}"));
}

#[test]
fn a_file_that_ends_anywhere_has_the_state_of_its_complete_records() {
    let records = some();
    let whole = file(&records);
    let head = file(&[]).len();
    for end in head..=whole.len() {
        let complete = whole[head..end].iter().filter(|byte| **byte == b'\n').count();

        let loaded = Journal::parse(&whole[..end]).unwrap();

        assert_eq!(loaded.journal, replayed(&records[..complete]), "at {end}");
        assert_eq!((loaded.damaged, loaded.torn), (0, end - file(&records[..complete]).len()));
        assert!(!loaded.is_damaged());
    }
    for end in 0..head {
        assert!(matches!(Journal::parse(&whole[..end]), Err(Unreadable::Headless)), "at {end}");
    }
}

#[test]
fn no_flipped_bit_yields_a_session_that_was_not_written() {
    let records = some();
    let written = sessions(records.clone());
    let whole = file(&records);
    let head = file(&[]).len();
    for place in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;

            let Ok(loaded) = Journal::parse(&flipped) else {
                assert!(place < head, "at {place}");
                continue;
            };

            assert!(loaded.damaged + loaded.torn > 0, "bit {bit} at {place}");
            let read = sessions(loaded.journal.records());
            assert!(read.iter().all(|session| written.contains(session)), "bit {bit} at {place}");
        }
    }
}

#[test]
fn only_the_damaged_record_is_lost() {
    let mut world = World::new(10);
    (1..=3).for_each(|number| world.announce(number).unwrap());
    let records = world.admission.take_records();
    let head = file(&[]).len();
    let mut damaged = file(&records);
    damaged[head + 300] = 0;

    let loaded = Journal::parse(&damaged).unwrap();

    assert_eq!(loaded.journal, replayed(&[records[0].clone(), records[2].clone()]));
    assert_eq!((loaded.damaged, loaded.torn), ((damaged.len() - head) / 3, 0));
    assert!(loaded.is_damaged());
}

#[test]
fn a_session_that_lost_its_tag_is_not_restored_if_the_record_of_that_is_missing() {
    let mut world = World::new(10);
    world.announce(1).unwrap();
    let next = Announcement { id: id(2), ..world.announcement(1) };
    world.admission.announce(next, START).unwrap();
    let records = world.admission.take_records();
    assert!(matches!(records[..], [Record::Session(_), Record::Ended(..), Record::Session(_)]));

    let journal = replayed(&[records[0].clone(), records[2].clone()]);

    assert_eq!(journal, replayed(&records[2..]));
}

#[test]
fn a_long_unreadable_end_is_damage() {
    let mut whole = file(&some());
    whole.extend([0; 64 * 1024]);
    assert!(!Journal::parse(&whole).unwrap().is_damaged());

    whole.push(0);

    assert!(Journal::parse(&whole).unwrap().is_damaged());
}

#[test]
fn what_is_no_journal_is_refused() {
    let table: [&[u8]; 6] = [
        b"",
        b"\0",
        b"pcoip-sg-sessions \n",
        b"pcoip-sg-sessions 2",
        b"pcoip-sg-sessions 200000000000000000000000000000000000000000000000\n",
        b"pcoip-cm-sessions 1\n",
    ];
    for bytes in table {
        assert!(matches!(Journal::parse(bytes), Err(Unreadable::Headless)), "{bytes:?}");
    }
    let foreign = Journal::parse(b"pcoip-sg-sessions 3\n");
    assert!(matches!(foreign, Err(Unreadable::Foreign(3, _))));
    let huge = vec![b' '; Journal::MAX_BYTES + 1];
    assert!(matches!(Journal::parse(&huge), Err(Unreadable::TooLarge(_))));
}

#[test]
fn the_largest_journal_is_accepted() {
    let long = "2001:db8:1111:2222:3333:4444:5555:6666";
    let mut world = World::new(1);
    let announcement = Announcement {
        agent: address(&format!("[{long}]:54172")),
        key: Some(SessionKey::from_random([0xff; 16])),
        hostname: Some(["a"; 127].join(".").parse().unwrap()),
        tag: TagDigest::of(&[b'x'; 4096]),
        ..world.announcement(1)
    };
    let tag = announcement.tag;
    world.admission.announce(announcement, START).unwrap();
    let admitted = world.admission.admit(&[tag], from(long), START).unwrap();
    world.close(admitted.control);
    world.wait(300);
    let records = world.admission.take_records();
    let empty = file(&[]).len();
    let [.., session, ended] = &records[..] else { panic!("{records:?}") };
    let [session, ended] =
        [session, ended].map(|record| file(std::slice::from_ref(record)).len() - empty);

    // The file may be twice as large as its content.
    let largest = 2 * (100_000 * session + 200_000 * ended);

    assert!(largest < Journal::MAX_BYTES, "{largest}");
}

#[test]
fn a_record_is_made_when_the_journal_changes() {
    let mut world = World::new(10);
    let records = |world: &mut World| world.admission.take_records().len();

    world.announce(1).unwrap();
    assert_eq!(records(&mut world), 1, "announced");
    world.announce(1).unwrap();
    assert_eq!(records(&mut world), 0, "the same again");
    let control = world.admit(1, "192.0.2.1").unwrap();
    assert_eq!(records(&mut world), 1, "connected");
    world.observe(control, Side::Client, &bytes(&[0x1001]));
    world.send(Side::Client, "192.0.2.1:5000", candidates(0x1001, 1)).unwrap();
    world.wait(1);
    world.close(control);
    world.wait(30);
    assert_eq!(records(&mut world), 0, "its datagrams continue");
    world.wait(31);
    assert_eq!(records(&mut world), 1, "its datagrams ceased");
    world.wait(300);
    assert_eq!(records(&mut world), 1, "ended");
    world.wait(300);
    assert_eq!(records(&mut world), 1, "forgotten");
    world.wait(300);
    assert_eq!(records(&mut world), 0, "nothing is left");
}

#[derive(Debug, Clone)]
enum Step {
    Announce { id: u32, key: Option<u8>, tag: u32, agent: u32, named: bool, later: u64 },
    Admit { tag: u32, place: u8 },
    Observe(usize, u32),
    Close(usize),
    FromClient { place: u8, port: u16, spi: u32 },
    Wait(u64),
    ChangeRules { places: u32, short: bool },
    Compact,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let announced =
        (0..4_u32, prop::option::of(0..3_u8), 0..5_u32, 0..2_u32, any::<bool>(), 0..3_u64);
    prop_oneof![
        4 => announced.prop_map(|(id, key, tag, agent, named, later)| {
            Step::Announce { id, key, tag, agent, named, later }
        }),
        4 => (0..5_u32, 1..3_u8).prop_map(|(tag, place)| Step::Admit { tag, place }),
        2 => (0..3_usize, 0..4_u32).prop_map(|(back, spi)| Step::Observe(back, spi)),
        2 => (0..3_usize).prop_map(Step::Close),
        4 => (1..3_u8, 5000..5002_u16, 0..4_u32)
            .prop_map(|(place, port, spi)| Step::FromClient { place, port, spi }),
        3 => prop::sample::select(vec![0, 1, 59, 61, 119, 121, 241, 301]).prop_map(Step::Wait),
        1 => (1..5_u32, any::<bool>())
            .prop_map(|(places, short)| Step::ChangeRules { places, short }),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
    ]
}

/// An admission, and the file with its records.
struct Recorded {
    world: World,
    controls: Vec<Control>,
    file: Vec<u8>,
}

impl Recorded {
    fn run(&mut self, step: &Step) {
        match *step {
            Step::Announce { id: number, key, tag: tagged, agent: host, named, later } => {
                let announced = Announcement {
                    id: id(number),
                    key: key.map(|key| SessionKey::from_random([key; 16])),
                    agent: agent(host),
                    hostname: named.then(|| "desk.example".parse().unwrap()),
                    tag: tag(tagged),
                    issued: self.world.now + Duration::from_secs(later),
                };
                let _ = self.world.admission.announce(announced, self.world.now);
            }
            Step::Admit { tag, place } => {
                self.controls.extend(self.world.admit(tag, &format!("192.0.2.{place}")));
            }
            Step::Observe(back, spi) => {
                if let Some(control) = self.controls.iter().rev().nth(back) {
                    self.world.observe(*control, Side::Client, &bytes(&[0xc0de_0000 + spi]));
                }
            }
            Step::Close(back) => {
                if let Some(control) = self.controls.iter().rev().nth(back) {
                    self.world.close(*control);
                }
            }
            Step::FromClient { place, port, spi } => {
                let from = format!("192.0.2.{place}:{port}");
                let _ = self.world.send(Side::Client, &from, candidates(0xc0de_0000 + spi, 9));
            }
            Step::Wait(seconds) => self.world.wait(seconds),
            Step::ChangeRules { places, short } => {
                self.world.change(places, if short { SHORT } else { TIMEOUTS });
            }
            Step::Compact => self.compact(),
            Step::Restart => {
                restart(&mut self.world);
                self.controls.clear();
                self.compact();
            }
        }
    }

    fn compact(&mut self) {
        self.world.admission.take_records();
        self.file = self.world.admission.journal().render();
    }

    fn check(&mut self) {
        for record in self.world.admission.take_records() {
            record.write(&mut self.file);
        }
        let journal = self.world.admission.journal();
        assert_eq!(sorted(&read(&self.file)), sorted(&journal));
        assert_eq!(journal.entries(), self.world.admission.recorded());
    }
}

/// The sessions by their ids, and the ended ones in their order.
fn sorted(journal: &Journal) -> (Vec<Vec<u8>>, Vec<Record>) {
    let mut open = sessions(journal.clone().records());
    let ended = journal.clone().records();
    open.sort();
    (open, ended.filter(|record| matches!(record, Record::Ended(..))).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_records_of_any_sequence_of_events_lead_to_the_state(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let (world, file) = (World::new(3), Journal::default().render());
        let mut recorded = Recorded { world, controls: Vec::new(), file };
        for step in steps {
            recorded.run(&step);
            recorded.check();
        }
    }
}
