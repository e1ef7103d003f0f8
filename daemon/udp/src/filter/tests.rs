//! The kernel's verdicts are compared with those of the bitmap.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use super::*;
use crate::{Batch, Socket};

fn listening(address: &str) -> Socket {
    let address: SocketAddr = address.parse().unwrap();
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(false).unwrap();
    }
    socket.bind(&address.into()).unwrap();
    Socket::new(socket, true).unwrap()
}

/// Whether the kernel passes a datagram from this address.
fn passes(listener: &Socket, from: IpAddr) -> bool {
    let sender = UdpSocket::bind((from, 0)).unwrap();
    let to = SocketAddr::new(from, listener.address().unwrap().port());
    let before = listener.dropped().unwrap();
    sender.send_to(b"datagram", to).unwrap();
    let mut batch = Batch::new(1);
    let begun = Instant::now();
    loop {
        if batch.receive(listener).is_ok() {
            return true;
        }
        if listener.dropped().unwrap() > before {
            return false;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "neither received nor dropped");
    }
}

#[test]
fn the_kernel_drops_what_is_not_in_the_bitmap() {
    let known: [IpAddr; 3] =
        ["127.0.0.7".parse().unwrap(), "127.200.3.4".parse().unwrap(), "::1".parse().unwrap()];
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let listener = listening(listen);
        let mut filter = SourceFilter::new(0x1234_5678);
        listener.set_filter(Some(&filter)).unwrap();
        let reachable = known.iter().filter(|ip| ip.is_ipv4() || listen.starts_with('['));
        for ip in reachable.clone() {
            assert!(!passes(&listener, *ip), "{ip}");
            assert!(filter.insert(*ip));
            assert!(!filter.insert(*ip));
            listener.set_filter(Some(&filter)).unwrap();
            assert!(passes(&listener, *ip), "{ip}");
        }

        let mut passed = 0;
        for number in 0..=255 {
            let ip = IpAddr::from([127, 9, number, 1]);
            let is_set = filter.words[filter.bit(ip) / 32] >> (filter.bit(ip) % 32) & 1 == 1;
            assert_eq!(passes(&listener, ip), is_set, "{ip}");
            passed += usize::from(is_set);
        }
        assert!(passed < 16, "{passed} of 256 strangers have the bit of an expected address");

        listener.set_filter(None).unwrap();
        listener.set_filter(None).unwrap();
        assert!(reachable.clone().all(|ip| passes(&listener, *ip)));
        assert!(passes(&listener, [127, 9, 0, 1].into()));
    }
}

#[test]
fn every_bit_is_found_by_the_program() {
    // All words differ, so that a wrong turn finds a wrong one.
    let listener = listening("127.0.0.1:0");
    let mut filter = SourceFilter::new(7);
    for (index, word) in filter.words.iter_mut().enumerate() {
        *word = u32::try_from(index).unwrap().wrapping_mul(FACTORS[1]);
    }
    listener.set_filter(Some(&filter)).unwrap();
    let mut words = std::collections::HashSet::new();
    for number in 0..4096_u32 {
        let [_, _, high, low] = number.to_be_bytes();
        let ip = IpAddr::from([127, 1, high, low]);
        let bit = filter.bit(ip);
        words.insert(bit / 32);
        let sender = UdpSocket::bind((ip, 0)).unwrap();
        let before = listener.dropped().unwrap();
        sender.send_to(b"datagram", listener.address().unwrap()).unwrap();
        let mut batch = Batch::new(1);
        let is_received = batch.receive(&listener).is_ok();
        assert_eq!(is_received, filter.words[bit / 32] >> (bit % 32) & 1 == 1, "{ip}");
        assert_eq!(is_received, listener.dropped().unwrap() == before);
    }
    assert_eq!(words.len(), WORDS);
}

#[test]
fn addresses_spread_over_the_bitmap() {
    let mut filter = SourceFilter::new(99);
    let new = |ip: [u8; 4], filter: &mut SourceFilter| usize::from(filter.insert(ip.into()));
    let v4: usize = (0..=255)
        .flat_map(|high| (0..4).map(move |low| [10, 0, high, low]))
        .map(|ip| new(ip, &mut filter))
        .sum();
    let v6: usize = (0..1024_u128)
        .map(|host| usize::from(filter.insert(IpAddr::V6((0x2001_0db8 << 96 | host).into()))))
        .sum();

    // Random bits would leave about 992 and 932 of 1,024.
    assert!(v4 > 900 && v6 > 800, "{v4} {v6}");
}
