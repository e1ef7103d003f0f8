use std::net::TcpListener;

use super::*;

/// A server that answers one request with these lines.
fn server(lines: &'static str) -> HostPort {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(lines.as_bytes());
    });
    address.to_string().parse().unwrap()
}

/// A host where 2030 begins.
fn clock() -> Clock {
    Clock::read_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000))
}

fn last(at: &HostPort, speaks: Speaks) -> Answer {
    let (tell, told) = channel();
    ask(at, speaks, clock(), &tell);
    drop(tell);
    told.into_iter().last().unwrap()
}

const REFUSED: &str = "the connection was refused (Connection refused, os error 111)";

#[test]
fn a_servers_clock_is_compared_by_its_date() {
    let ahead =
        server("HTTP/1.1 404 Not Found\r\nX: y\r\ndate: Tue, 01 Jan 2030 01:00:00 GMT\r\n\r\n");
    let behind = server("HTTP/1.1 200 OK\r\nDate: Mon, 31 Dec 2029 23:00:00 GMT\r\n\r\n");

    // Asking takes a moment, a minute on the busiest machine.
    let ahead = last(&ahead, Speaks::Http).unwrap().unwrap();
    assert!((3_540..=3_600).contains(&ahead), "{ahead}");
    let behind = last(&behind, Speaks::Http).unwrap().unwrap();
    assert!((-3_660..=-3_600).contains(&behind), "{behind}");
}

#[test]
fn a_server_without_a_date_answers_all_the_same() {
    for lines in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: soon\r\n\r\n", "no HTTP", ""]
    {
        assert_eq!(last(&server(lines), Speaks::Http), Ok(None), "{lines:?}");
    }
    assert_eq!(last(&server(""), Speaks::Tcp), Ok(None));
}

#[test]
fn whoever_does_not_listen_or_speak_tls_does_not_answer() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = closed.to_string().parse().unwrap();

    for speaks in [Speaks::Tcp, Speaks::Http, Speaks::Https] {
        assert_eq!(last(&closed, speaks), Err(REFUSED.to_owned()));
    }
    assert!(last(&server("HTTP/1.1 200 OK\r\n\r\n"), Speaks::Https).is_err());
}

#[test]
fn a_dns_server_answers_with_an_answer() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let mut query = [0; 512];
        for answer in [&[0x50, 0x43, 0x81, 5, 0, 0, 0, 0, 0, 0, 0, 0][..], b"what?"] {
            let (count, from) = socket.recv_from(&mut query).unwrap();
            assert_eq!(query[..count], *b"\x50\x43\x01\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01");
            socket.send_to(answer, from).unwrap();
        }
    });

    assert_eq!(ask_resolver(at), Ok(()));
    assert_eq!(ask_resolver(at), Err("its answer is not a DNS message".to_owned()));
    asked.join().unwrap();
    assert_eq!(ask_resolver(at), Err(REFUSED.to_owned()));
}

#[test]
fn who_told_nothing_until_the_time_is_over_does_not_answer() {
    let (_silent, silence) = channel();
    let (told, half) = channel();
    told.send(Ok(None)).unwrap();
    let peers =
        vec![(Kind::Gateway, "a".to_owned(), silence), (Kind::Gateway, "b".to_owned(), half)];

    let long_ago = Instant::now().checked_sub(WAIT).unwrap();
    let facts = Asked { clock: Clock { read: long_ago, ..clock() }, peers }.answers();

    assert_eq!(facts[0].answer, Err("no answer within 5 seconds".to_owned()));
    assert_eq!(facts[1].answer, Ok(None));
}
