use std::{collections::HashSet, net::UdpSocket, os::fd::AsFd as _};

use cmsg_udp::Batch;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;

#[test]
fn the_sockets_of_all_workers_share_a_port_and_nobody_else_gets_it() {
    for address in ["127.0.0.1:0", "[::]:0"] {
        let sockets = datagrams(address.parse().unwrap(), 4, Side::Client, &[]).unwrap();
        let bound = sockets[0].address().unwrap();
        assert!(sockets.iter().all(|socket| socket.address().unwrap() == bound));

        for workers in [1, 4] {
            let taken = datagrams(bound, workers, Side::Agent, &[]).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "{address}");
        }
        drop(sockets);
        datagrams(bound, 2, Side::Client, &[]).unwrap();
    }
}

#[test]
fn a_flow_stays_with_its_worker_and_all_have_some() {
    const FLOWS: usize = 64;
    let sockets = datagrams("127.0.0.1:0".parse().unwrap(), 4, Side::Client, &[]).unwrap();
    let bound = sockets[0].address().unwrap();
    let clients: Vec<_> = (0..FLOWS).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut batch = Batch::new(FLOWS);
    let mut workers = HashSet::new();
    let mut flows = HashSet::new();
    for _ in 0..3 {
        for client in &clients {
            client.send_to(b"datagram", bound).unwrap();
        }
        let mut left = FLOWS;
        while left > 0 {
            let mut waiting: Vec<_> = sockets
                .iter()
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
                .collect();
            poll(&mut waiting, PollTimeout::from(20_000_u16)).unwrap();
            for (number, socket) in sockets.iter().enumerate() {
                left -= batch.receive(socket).unwrap_or_default();
                workers.extend((batch.trains().count() > 0).then_some(number));
                flows.extend(batch.trains().map(|train| (train.from, number)));
            }
        }
    }

    assert_eq!((workers.len(), flows.len()), (4, FLOWS));
}
