use std::{
    io::{self, Read as _, Write as _},
    path::Path,
};

use super::*;

impl Gateway {
    /// A gateway with these addresses that is never contacted.
    pub(in super::super) fn at(addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let client = Client::watched(&Trust::Off, &Files::default(), WAIT);
        Self::new(addresses, client.unwrap(), Address::Unix("/".into()))
    }

    /// The state after a check that reported this load, and this number of accepted sessions.
    pub(in super::super) fn loaded(self, percent: u8, accepted: u64) -> Self {
        let offer = Offer { grants: true, load: Some(percent) };
        Self { offer: Mutex::new(offer), accepted: accepted.into(), ..self }
    }

    /// The state after a check that it answered with a refusal.
    pub(in super::super) fn full(self) -> Self {
        let full = Answer::Refuses("full".to_owned());
        self.changes(|reachability| reachability.looked(full, clock::now()));
        self
    }

    /// The state after an unanswered announcement.
    pub(in super::super) fn silenced(self) -> Self {
        self.changes(|reachability| reachability.unanswered(String::new(), clock::now()));
        self
    }
}

/// The gateway of this host, whose socket is in this directory.
fn own(run: &Path) -> Gateway {
    let client = Client::watched(&Trust::Off, &Files::default(), WAIT);
    let socket = Address::Unix(run.join(Role::Sg.socket()));
    let gateway = Gateway::new(Vec::new(), client.unwrap(), socket);
    Gateway { folder: Some(File::open(run).unwrap()), ..gateway }
}

#[tokio::test]
async fn a_gateway_that_hangs_gets_one_connection_for_all_checks() {
    const BRIEF: Duration = Duration::from_millis(20);
    let run = tempfile::tempdir().unwrap();
    let hung = socket::bind(run.path(), Role::Sg).unwrap();
    hung.set_nonblocking(true).unwrap();
    let gateway = own(run.path());

    for _ in 0..5 {
        assert_eq!(gateway.ask_within(BRIEF).await, Answer::Silent("timed out".to_owned()));
    }

    let (mut stream, _) = hung.accept().unwrap();
    assert_eq!(hung.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // Once it runs again, it answers that check.
    let _ = stream.read(&mut [0; 1024]).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!(gateway.ask_within(WAIT).await, Answer::Takes);
    drop(stream);
    assert_eq!(gateway.ask_within(BRIEF).await, Answer::Silent("timed out".to_owned()));
    assert!(hung.accept().is_ok());
}
