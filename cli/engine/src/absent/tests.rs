use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    thread,
};

use super::*;
use crate::Engine;

/// What connecting to an engine finds that answers each request so, and closes the connection.
fn found(answer: &'static [u8]) -> NoEngine {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if !answer.is_empty() {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
            }
        }
    });
    match Engine::at(socket).unwrap_err() {
        NoEngine::Unresponsive(_, why) => NoEngine::Unresponsive(PathBuf::new(), why),
        NoEngine::Odd(_, why) => NoEngine::Odd(PathBuf::new(), why),
        other => other,
    }
}

#[test]
fn an_engine_that_fails_is_told_from_one_that_does_not_answer_and_from_another_program() {
    let failing = b"HTTP/1.1 500 x\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n\
        {\"message\":\"no\\u001b[2J\\nerror: fake\"}";
    assert_eq!(found(failing), NoEngine::Failing("status 500: no [2J error: fake".to_owned()));

    let NoEngine::Unresponsive(_, why) = found(b"") else { panic!("{:?}", found(b"")) };
    assert!(why.starts_with("the peer reset") || why.starts_with("the peer closed"), "{why}");

    let garbage = b"\x1b]0;x\x07 garbage\r\n\r\n";
    let NoEngine::Odd(_, why) = found(garbage) else { panic!("{:?}", found(garbage)) };
    assert!(why.starts_with("the peer does not speak HTTP on this port"), "{why}");

    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>";
    let why = "the response is not the expected JSON".to_owned();
    assert_eq!(found(page), NoEngine::Odd(PathBuf::new(), why));
}

#[test]
fn what_an_engine_says_is_bounded() {
    let message = "x".repeat(10_000);
    let error = Error::DockerResponseServerError { status_code: 500, message };

    assert_eq!(described(&error).chars().count(), LINE + 1);
}

#[test]
fn an_engine_that_accepts_no_connections_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    socket2::SockRef::from(&listener).listen(0).unwrap();
    let connect = || cmsg_config::socket::connect_at(&socket, std::time::Duration::ZERO).ok();
    let _queued: Vec<_> = std::iter::from_fn(connect).take(10).collect();

    let why = "too many connections wait on its socket".to_owned();
    let engine = Engine::at(socket.clone()).unwrap_err();
    assert_eq!(engine, NoEngine::Unresponsive(socket, why));
}

#[test]
fn a_query_ends_when_the_operator_interrupts() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let _silent = UnixListener::bind(&socket).unwrap();

    assert_eq!(Engine::connect_to(socket, || true).unwrap_err(), NoEngine::Interrupted);
}
