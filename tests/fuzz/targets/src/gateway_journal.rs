//! Restoring any gateway journal respects the limits, and a rendered journal can be parsed.

use std::time::Duration;

use cmsg_proto::{
    Time,
    gateway::{Admission, Journal, Rules, Timeouts},
};

/// Reads bytes as a journal and takes it up.
pub fn run(data: &[u8]) {
    check(data);
    check(&[b"pcoip-sg-sessions 2\n", data].concat());
    // Each line with a valid length and checksum.
    let lines = data.split(|byte| *byte == b'\n');
    let frames = lines.map(|line| {
        let head = format!("{:04x} {:08x} ", line.len(), crc32c::crc32c(line));
        [head.as_bytes(), line, b"\n"].concat()
    });
    let frames: Vec<_> = frames.flatten().collect();
    check(&[b"pcoip-sg-sessions 2\n", frames.as_slice()].concat());
}

fn check(data: &[u8]) {
    let Ok(loaded) = Journal::parse(data) else { return };
    assert!(loaded.damaged + loaded.torn < data.len());
    // A file of version 1 may contain a session twice.
    let journal = read(&loaded.journal);
    assert!(journal.count() <= loaded.journal.count());
    assert_eq!(read(&journal), journal);

    for now in [0, 1_800_000_000_000, u64::MAX] {
        let now = Time::from_millis(now);
        let mut admission = Admission::new(RULES);
        admission.restore(journal.clone(), now);
        assert!(admission.count() <= 4 && admission.count() <= journal.count());
        let written = admission.journal();
        assert_eq!(read(&written), written);
        assert_eq!(written.count(), admission.count());
        assert_eq!(admission.tag_lengths().is_empty(), admission.count() == 0);

        let mut again = Admission::new(RULES);
        again.restore(written, now);
        assert_eq!(again.count(), admission.count(), "a second restart loses sessions");
        over(&mut again, now);
    }
}

fn read(journal: &Journal) -> Journal {
    let loaded = Journal::parse(&journal.clone().render()).expect("what is written is read");
    assert_eq!((loaded.damaged, loaded.torn), (0, 0));
    loaded.journal
}

/// No restored session remains forever.
fn over(admission: &mut Admission, now: Time) {
    let late = now + Duration::from_secs(1000);
    if late.since(now) == Duration::from_secs(1000) {
        admission.tick(late, |_| 0);
        assert_eq!(admission.count(), 0, "a session outlives every time-out");
    }
}

const RULES: Rules = Rules {
    max_connections: 4,
    timeouts: Timeouts {
        announced: Duration::from_secs(240),
        resume: Duration::from_secs(300),
        udp_idle: Duration::from_secs(60),
    },
};
