//! Trains on a path whose MTU is smaller than their datagrams.

use std::{
    io::Result,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use cmsg_udp::{Batch, Outbox, Part, Sent, Socket, Target};
use e2e::needs::{Need, met};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
};

/// Larger than the MTU, as on a path with jumbo frames on one side.
const LONG: usize = 1400;
/// Fits.
const SHORT: usize = 1200;
const DATAGRAMS: usize = 8;

fn relay() -> Result<Socket> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    Socket::new(socket, true)
}

/// Relays single datagrams of this length, which become a train.
fn relayed(outbox: &mut Outbox, relay: &Socket, length: usize, to: &UdpSocket) -> Result<usize> {
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    for number in 0..DATAGRAMS {
        let number = u8::try_from(number).expect("there are few");
        sender.send_to(&vec![number; length], relay.address()?)?;
    }
    let mut batch = Batch::new(DATAGRAMS);
    let mut received = 0;
    let (mut sent, mut most) = (0, 0);
    while received < DATAGRAMS {
        let mut waiting = [PollFd::new(relay.as_fd(), PollFlags::POLLIN)];
        poll(&mut waiting, PollTimeout::from(20_000_u16))?;
        batch.receive(relay)?;
        for train in batch.trains() {
            received += train.datagrams().count();
            let part =
                Part { train: train.index, start: 0, length: train.bytes.len(), segment: length };
            outbox.push(1, Target { to: to.local_addr()?, from: None, tos: 0 }, part);
        }
        outbox.send(&batch, relay, Instant::now(), |report| {
            assert!(matches!(report.sent, Sent::Done), "{report:?}");
            sent += report.datagrams;
            most = most.max(report.datagrams);
        });
    }
    assert_eq!(sent, DATAGRAMS);
    for number in 0..DATAGRAMS {
        let mut buffer = [0; 2000];
        let read = to.recv(&mut buffer)?;
        let number = u8::try_from(number).expect("there are few");
        assert_eq!(buffer[..read], vec![number; length], "the order or a datagram is lost");
    }
    Ok(most)
}

#[test]
fn datagrams_that_are_too_long_for_the_path_are_sent_one_by_one() {
    if !met(&[Need::Root, Need::Namespace, Need::Tool("ip")]) {
        return;
    }
    let in_namespace = || -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let up = ["link", "set", "lo", "up", "mtu", "1280"];
        assert!(Command::new("ip").args(up).status()?.success());
        let (relay, mut outbox) = (relay()?, Outbox::default());
        let [long, short] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
        for socket in [&long, &short] {
            socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        }

        // The first train is refused, and sent again; there is no second one.
        for _ in 0..2 {
            assert_eq!(relayed(&mut outbox, &relay, LONG, &long)?, 1);
        }
        assert_eq!(relayed(&mut outbox, &relay, SHORT, &short)?, DATAGRAMS);
        assert_eq!(relayed(&mut outbox, &relay, SHORT, &long)?, 1, "the path was remembered");
        Ok(())
    };
    let ended = thread::spawn(in_namespace).join().expect("the namespace's thread ends");
    ended.expect("the sockets of the namespace work");
}
