use std::os::unix::net::UnixStream;

use socket2::SockRef;

use super::*;
use crate::cause;

#[test]
fn a_socket_in_a_deep_directory_is_usable() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("d".repeat(100)).join("e".repeat(100));
    std::fs::create_dir_all(&deep).unwrap();

    let listener = bind(&deep, Role::Cm).unwrap();
    let client = connect(&deep, Role::Cm);

    assert!(listener.accept().is_ok());
    assert!(client.is_ok());
}

#[test]
fn a_socket_in_use_is_not_replaced() {
    let run = tempfile::tempdir().unwrap();
    let _first = bind(run.path(), Role::Sg).unwrap();

    assert_eq!(bind(run.path(), Role::Sg).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_socket_left_behind_is_replaced() {
    let run = tempfile::tempdir().unwrap();
    drop(bind(run.path(), Role::Sg).unwrap());

    assert!(bind(run.path(), Role::Sg).is_ok());
}

#[test]
fn a_response_is_parsed_and_a_refusal_reported() {
    let run = tempfile::tempdir().unwrap();
    let listener = bind(run.path(), Role::Cm).unwrap();
    let answers = ["HTTP/1.1 200 OK\r\n\r\n{\"connections\":[]}", "HTTP/1.1 404 x\r\n\r\n", "?"];
    let server = std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let ask = || {
        get::<Connections>(run.path(), Role::Cm, "/connections", Duration::from_secs(5))
            .map_err(|error| error.to_string())
    };

    assert_eq!(ask(), Ok(Connections { connections: vec![] }));
    assert_eq!(ask(), Err("the answer is 404".to_owned()));
    assert_eq!(ask(), Err("the answer is not HTTP".to_owned()));
    server.join().unwrap();
}

#[test]
fn a_response_that_is_too_large_is_refused() {
    let run = tempfile::tempdir().unwrap();
    let listener = bind(run.path(), Role::Cm).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Until the client has closed the connection.
        while stream.write_all(&[b' '; 1024]).is_ok() {}
    });

    let error =
        get::<Status>(run.path(), Role::Cm, "/status", Duration::from_secs(60)).unwrap_err();

    assert_eq!(error.to_string(), "the answer is larger than 1048576 bytes");
    server.join().unwrap();
}

#[test]
fn a_response_that_trickles_in_times_out() {
    let run = tempfile::tempdir().unwrap();
    let listener = bind(run.path(), Role::Cm).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let mut sent = 0;
        // Until the client has closed the connection.
        while sent < 1000 && stream.write_all(b"x").is_ok() {
            let _ = stream.read(&mut [0; 1024]);
            sent += 1;
        }
        sent
    });

    let wait = Duration::from_millis(200);
    let error = get::<Connections>(run.path(), Role::Cm, "/connections", wait).unwrap_err();

    assert!([io::ErrorKind::TimedOut, io::ErrorKind::WouldBlock].contains(&error.kind()));
    assert!(server.join().unwrap() < 1000);
}

/// A socket of a process that accepts no connections, with as many of them as the system queues.
fn crowded_socket(run: &Path) -> (UnixListener, Vec<UnixStream>) {
    let listener = bind(run, Role::Sg).unwrap();
    SockRef::from(&listener).listen(1).unwrap();
    let queued: Vec<_> = std::iter::from_fn(|| connect(run, Role::Sg).ok()).take(100).collect();
    assert!(queued.len() < 100);
    (listener, queued)
}

#[test]
fn a_process_that_accepts_no_connections_is_not_waited_for_without_end() {
    let run = tempfile::tempdir().unwrap();
    let _crowded = crowded_socket(run.path());
    let wait = Duration::from_millis(20);

    let got = get::<Connections>(run.path(), Role::Sg, "/connections", wait).unwrap_err();
    let sent = tell(run.path(), Role::Sg, "/drain", wait).unwrap_err();

    for error in [got, sent] {
        assert_eq!(cause::of_socket(&error), "too many connections wait on its socket");
    }
    assert_eq!(bind(run.path(), Role::Sg).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_process_that_accepts_connections_in_time_is_waited_for() {
    let run = tempfile::tempdir().unwrap();
    let (listener, queued) = crowded_socket(run.path());
    let waiting = listener.try_clone().unwrap();
    let client = std::thread::spawn(move || {
        connect_named(run.path(), Role::Sg.socket(), Duration::from_secs(60)).map(drop)
    });

    for _ in 0..=queued.len() {
        waiting.accept().unwrap();
    }

    assert!(client.join().unwrap().is_ok());
}

#[test]
fn a_status_is_read_with_and_without_usage() {
    let plain = serde_json::json!({
        "role": "sg", "version": "0.1.0", "pid": 7, "ready": true, "reason": null,
        "listens": [], "sessions": 3,
    });
    let mut counted = plain.clone();
    counted["in_use"] = 1.into();
    counted["resumable"] = 2.into();

    let read = |document: &serde_json::Value| Status::deserialize(document).unwrap();

    assert_eq!(read(&plain).usage, None);
    assert_eq!(serde_json::to_value(read(&plain)).unwrap(), plain);
    assert_eq!(read(&counted).usage, Some(Usage { in_use: 1, resumable: 2 }));
    assert_eq!(serde_json::to_value(read(&counted)).unwrap(), counted);
}
