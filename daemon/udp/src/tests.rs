//! Trains through real sockets on the loopback interface.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{setsockopt, sockopt::UdpGsoSegment},
};
use socket2::{Domain, Protocol, Type};

use crate::{Batch, Outbox, Part, Sent, Socket, Target};

fn socket(address: &str) -> (Socket, SocketAddr) {
    let address: SocketAddr = address.parse().unwrap();
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(false).unwrap();
    }
    socket.bind(&address.into()).unwrap();
    let socket = Socket::new(socket, true).unwrap();
    let bound = socket.address().unwrap();
    (socket, bound)
}

fn plain(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let bound = socket.local_addr().unwrap();
    (socket, bound)
}

fn receive(batch: &mut Batch, socket: &Socket) -> io::Result<usize> {
    let mut waiting = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut waiting, PollTimeout::from(20_000_u16)).unwrap();
    batch.receive(socket)
}

#[test]
fn a_train_is_received_as_one_and_sent_as_the_same_datagrams() {
    for (listen, to, from) in [
        ("0.0.0.0:0", "127.0.0.9", "127.0.0.1"),
        ("[::]:0", "127.0.0.9", "127.0.0.1"),
        ("[::]:0", "::1", "::1"),
        ("127.0.0.1:0", "127.0.0.1", "127.0.0.1"),
    ] {
        let (relay, bound) = socket(listen);
        let to: IpAddr = to.parse().unwrap();
        let (sender, sent_from) = plain(&SocketAddr::new(from.parse().unwrap(), 0).to_string());
        let (receiver, target) = plain(&SocketAddr::new(from.parse().unwrap(), 0).to_string());
        setsockopt(&sender, UdpGsoSegment, &1000).unwrap();
        let bytes: Vec<u8> = (0..3700_u32).map(|number| number.to_le_bytes()[0]).collect();
        sender.send_to(&bytes, SocketAddr::new(to, bound.port())).unwrap();

        let mut batch = Batch::new(4);
        assert_eq!(receive(&mut batch, &relay).unwrap(), 1);

        let train = batch.trains().next().unwrap();
        assert_eq!((train.bytes, train.segment), (&bytes[..], 1000), "{listen}");
        assert_eq!((train.from, train.tos), (sent_from, 0));
        let is_wildcard = bound.ip().is_unspecified();
        assert_eq!(train.at, is_wildcard.then_some(to), "{listen}");
        assert_eq!(train.datagrams().map(<[u8]>::len).collect::<Vec<_>>(), [1000, 1000, 1000, 700]);
        // The two halves are joined again.
        let mut outbox = Outbox::default();
        let to = Target { to: target, from: is_wildcard.then_some(to), tos: 0x8b };
        for (start, length) in [(0, 2000), (2000, 1700)] {
            outbox.push(7, to, Part { train: 0, start, length, segment: 1000 });
        }
        let mut reports = Vec::new();
        outbox.send(&batch, &relay, Instant::now(), |report| reports.push(report));
        assert_eq!(reports.len(), 1);
        assert_eq!((reports[0].key, reports[0].datagrams, reports[0].bytes), (7, 4, 3700));
        assert!(matches!(reports[0].sent, Sent::Done));
        for datagram in bytes.chunks(1000) {
            let mut buffer = [0; 2000];
            let (length, relayed_from) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], datagram);
            let expected = to.from.unwrap_or(bound.ip());
            assert_eq!(relayed_from, SocketAddr::new(expected, bound.port()), "{listen}");
        }
        let nothing = batch.receive(&relay).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_single_datagram_keeps_its_type_of_service() {
    for (listen, to) in [("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let ((receiver, bound), (sender, from)) = (socket(listen), socket(listen));
        let to: IpAddr = to.parse().unwrap();
        // AF41 with both ECN bits.
        for (source, tos) in [(None, 0x8b), (Some(to), 0x8b), (Some(to), 0), (None, 0)] {
            let target = Target { to: SocketAddr::new(to, bound.port()), from: source, tos };
            sender.send(b"datagram", target).unwrap();

            let mut batch = Batch::new(1);
            assert_eq!(receive(&mut batch, &receiver).unwrap(), 1);
            let train = batch.trains().next().unwrap();
            assert_eq!((train.bytes, train.tos), (&b"datagram"[..], tos), "{listen}");
            assert_eq!(train.from, SocketAddr::new(to, from.port()));
            assert!(batch.is_full());
        }
    }
}

#[test]
fn what_cannot_be_sent_is_reported() {
    let ((relay, bound), (sender, _)) = (socket("127.0.0.1:0"), plain("127.0.0.1:0"));
    sender.send_to(b"datagram", bound).unwrap();
    let mut batch = Batch::new(1);
    receive(&mut batch, &relay).unwrap();
    // An IPv6 address on an IPv4 socket.
    let targets: [(SocketAddr, bool); 2] =
        [("[::1]:9".parse().unwrap(), false), (sender.local_addr().unwrap(), true)];
    let mut outbox = Outbox::default();
    for (key, (to, _)) in targets.into_iter().enumerate() {
        let target = Target { to, from: None, tos: 0 };
        outbox.push(key, target, Part { train: 0, start: 0, length: 8, segment: 8 });
    }
    let mut reports = Vec::new();
    outbox.send(&batch, &relay, Instant::now(), |report| reports.push(report));

    let sent: Vec<_> = reports.iter().map(|it| matches!(it.sent, Sent::Done)).collect();
    assert_eq!(sent, targets.map(|(_, is_sent)| is_sent));
    assert!(matches!(&reports[0].sent, Sent::Failed(_)));
}
