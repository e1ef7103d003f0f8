use std::net::{SocketAddr, UdpSocket};

use super::*;

const START: Time = Time::from_millis(1_800_000_000_000);

#[test]
fn a_flood_lasts_until_it_has_been_calm_for_a_while() {
    let mut flood = Flood::None;
    // Dropped datagrams and seconds since the start; whether it is a flood then.
    let table = [
        (MANY - 1, 0, false),
        (MANY, 1, true),
        (0, 2, true),
        (MANY, 20, true),
        (0, 49, true),
        (0, 50, false),
        (MANY - 1, 51, false),
    ];
    for (dropped, seconds, expected) in table {
        flood = flood.judge(dropped, START + Duration::from_secs(seconds));
        assert_eq!(flood != Flood::None, expected, "{seconds}");
    }
}

fn pair() -> Arc<Pair> {
    let socket = || {
        let address: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = crate::listen::open(address, socket2::Type::DGRAM, socket2::Protocol::UDP);
        let socket = socket.unwrap();
        socket.bind(&address.into()).unwrap();
        Socket::new(socket, true).unwrap()
    };
    Arc::new([socket(), socket()])
}

/// Sends a datagram from this address, and returns whether it passes.
fn passes(pair: &Pair, host: u8) -> bool {
    let sender = UdpSocket::bind(SocketAddr::from(([127, 7, 7, host], 0))).unwrap();
    sender.send_to(b"datagram", pair[0].address().unwrap()).unwrap();
    cmsg_udp::Batch::new(4).receive(&pair[0]).is_ok()
}

#[test]
fn only_during_a_flood_are_other_addresses_dropped_and_counted() {
    let pairs = [pair(), pair()];
    let floods = Floods::new(&pairs);
    let ip = |host| IpAddr::from([127, 7, 7, host]);
    let expected = || vec![ip(1)];
    assert_eq!(floods.check(7, expected, START), 0);
    assert!(passes(&pairs[0], 1) && passes(&pairs[0], 3));

    assert_eq!(floods.check(7 + MANY, expected, START), 0);
    for pair in &pairs {
        assert!(passes(pair, 1) && !passes(pair, 2) && !passes(pair, 3));
    }
    assert_eq!(floods.check(7 + MANY, expected, START), 4);

    // A client that arrives meanwhile is admitted; one that left is dropped again.
    floods.expect(ip(2));
    assert!(pairs.iter().all(|pair| passes(pair, 2)));
    floods.forget();
    floods.check(7 + MANY, expected, START);
    assert!(pairs.iter().all(|pair| passes(pair, 1) && !passes(pair, 2)));

    floods.check(7 + MANY, expected, START + CALM);
    assert!(pairs.iter().all(|pair| passes(pair, 2) && passes(pair, 3)));
}
