//! Compares the routing table with a list of its changes.

use std::net::{IpAddr, SocketAddr};

use cmsg_proto::gateway::{Destination, Key, RouteChange, Routes, Side, Slot, Spi, SpiCandidates};

use crate::input::Input;

/// Applies changes, and checks the table after each.
pub fn run(data: &[u8]) {
    let input = &mut Input::new(data);
    let routes = Routes::default();
    let mut log = Vec::new();
    while !input.is_empty() && log.len() < 256 {
        let change = change(input);
        routes.apply(change);
        log.push(change);

        let (side, from, datagram) = (side(input), input.socket(), input.bytes(9));
        let candidates = SpiCandidates::of(datagram);
        assert_eq!(candidates.is_some(), datagram.len() >= 4);
        let Some(candidates) = candidates else { continue };
        assert_eq!(routes.read().find(side, from, candidates), find(&log, side, from, datagram));
        assert_eq!(routes.read().expects(side, from.ip()), expects(&log, side, from.ip()));
    }
    let again = Routes::default();
    log.iter().for_each(|change| again.apply(*change));
    assert_eq!(again, routes);
}

fn change(input: &mut Input<'_>) -> RouteChange {
    let what = input.below(4);
    let (side, from) = (side(input), input.socket());
    let key = Key { side, from, spi: spi(input) };
    match what {
        0 => {
            let flow = Slot(input.below(4).into()).flows(side).nth(input.below(4).into());
            let flow = flow.expect("a session may have four");
            RouteChange::Added(key, Destination { to: input.socket(), from: None, at: None, flow })
        }
        1 => RouteChange::Removed(key),
        2 => RouteChange::Expected(side, from.ip()),
        _ => RouteChange::Unexpected(side, from.ip()),
    }
}

fn side(input: &mut Input<'_>) -> Side {
    if input.flag() { Side::Client } else { Side::Agent }
}

/// Made of few bytes, so that datagrams contain them too.
fn spi(input: &mut Input<'_>) -> Spi {
    Spi::from_bytes([0, input.below(3), 0, input.below(3)])
}

fn find(log: &[RouteChange], side: Side, from: SocketAddr, datagram: &[u8]) -> Option<Destination> {
    let at = |place: usize| {
        let spi = datagram.get(place..place + 4)?.first_chunk()?;
        let wanted = Key { side, from, spi: Spi::from_bytes(*spi) };
        let last = log.iter().rev().find_map(|change| match change {
            RouteChange::Added(key, to) if *key == wanted => Some(Some(*to)),
            RouteChange::Removed(key) if *key == wanted => Some(None),
            _ => None,
        });
        last.flatten()
    };
    at(0).or_else(|| at(4))
}

fn expects(log: &[RouteChange], side: Side, ip: IpAddr) -> bool {
    let last = log.iter().rev().find_map(|change| match change {
        RouteChange::Expected(s, i) if (*s, *i) == (side, ip) => Some(true),
        RouteChange::Unexpected(s, i) if (*s, *i) == (side, ip) => Some(false),
        _ => None,
    });
    last.unwrap_or_default()
}
