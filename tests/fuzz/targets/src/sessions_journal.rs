//! Restoring any file of sessions respects the limit, and a rendered file can be parsed.

use std::time::Duration;

use cmsg_proto::{
    Time,
    broker::{
        ClientCookie,
        session::{Extent, Journal, Seal, Sessions},
    },
};
use zeroize::Zeroizing;

/// Parses bytes as the file, unchanged and behind a valid first line.
pub fn run(data: &[u8]) {
    read(data);
    read(&[b"pcoip-cm-sessions 2\n", data].concat());
}

fn read(bytes: &[u8]) {
    let Ok(loaded) = Journal::parse(bytes) else { return };
    assert!(loaded.damaged + loaded.torn <= bytes.len());
    let journal = loaded.journal;
    let written = journal.clone().render();
    let again = Journal::parse(&written).expect("what is written is read");
    assert_eq!((again.damaged, again.torn), (0, 0));
    assert_eq!(again.journal, journal);
    assert_eq!(again.journal.render(), written);

    for now in [0, 1_800_000_000_000, u64::MAX] {
        let now = Time::from_millis(now);
        let mut sessions = Sessions::new(4, Duration::from_mins(15), Open);
        sessions.restore(journal.clone(), now);
        assert!(sessions.len() <= 4);
        let cookie = ClientCookie::from_random([7; 16]);
        let _ = sessions.find(&cookie, now);
        let kept = Journal::parse(&sessions.journal(Extent::All).render())
            .expect("what is written is read")
            .journal;
        let mut second = Sessions::new(4, Duration::from_mins(15), Open);
        second.restore(kept, now);
        assert_eq!(second.len(), sessions.len(), "a second restart loses sessions");
        if now < Time::from_millis(u64::MAX / 2) {
            assert_eq!(second.expire(now + Duration::from_mins(15)).len(), sessions.len());
        }
    }
}

/// Does not encrypt, so that the content of a record is parsed too.
#[derive(Debug)]
struct Open;

impl Seal for Open {
    fn seal(&self, _: &ClientCookie, plain: &[u8]) -> Option<Vec<u8>> {
        Some(plain.to_vec())
    }

    fn unseal(&self, _: &ClientCookie, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(sealed.to_vec()))
    }
}
