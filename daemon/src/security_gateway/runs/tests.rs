//! Random trains against a twin that looks up every datagram.

use std::net::IpAddr;

use cmsg_proto::gateway::{Key, RouteChange, Routes, Slot};
use proptest::prelude::*;

use super::*;

const FROM: &str = "192.0.2.1:5000";
/// Another client behind the same address is expected; this one is not.
const STRANGER: &str = "192.0.2.9:5000";

fn routes(known: &[(u8, u8)]) -> Routes {
    let routes = Routes::default();
    let from: std::net::SocketAddr = FROM.parse().unwrap();
    routes.apply(RouteChange::Expected(Side::Client, from.ip()));
    for (index, (word, agent)) in known.iter().enumerate() {
        let slot = Slot(u32::try_from(index).unwrap());
        let destination = Destination {
            to: ([10, 0, 0, *agent], 4172).into(),
            from: None,
            at: agent.is_multiple_of(2).then_some(at(0)),
            flow: slot.flows(Side::Client).next().unwrap(),
        };
        let spi = Spi::from_bytes([0, 0, 0, *word]);
        routes.apply(RouteChange::Added(Key { side: Side::Client, from, spi }, destination));
    }
    routes
}

fn at(number: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, number])
}

/// What is to be done with one datagram.
fn naive(routes: &Routes, train: &Train<'_>, datagram: &[u8]) -> Route {
    let routes = routes.read();
    let Some(words) = SpiCandidates::of(datagram) else { return Route::None };
    match routes.find_numbered(Side::Client, train.from, words) {
        Some((found, sequence)) if found.accepts(train.at) => Route::To(found, sequence),
        _ if routes.expects(Side::Client, train.from.ip()) => Route::Undecided,
        _ => Route::None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_train_is_divided_as_its_datagrams_would_be(
        known in prop::collection::vec((0..4_u8, 0..4_u8), 0..4),
        words in prop::collection::vec((0..6_u8, 0..6_u8, any::<u8>()), 1..64),
        segment in 1..20_usize,
        last in any::<prop::sample::Index>(),
        is_stranger in any::<bool>(),
        local in prop::option::of(0..2_u8),
    ) {
        let routes = routes(&known);
        let datagram = |(first, second, third): &(u8, u8, u8)| {
            let bytes = [[0, 0, 0, *first], [0, 0, 0, *second], [0, 0, 0, *third]].concat();
            let padded = [bytes, vec![0; 8]].concat();
            padded[..segment].to_vec()
        };
        let mut bytes = words.iter().flat_map(datagram).collect::<Vec<_>>();
        bytes.truncate(bytes.len() - last.index(segment));
        let from = if is_stranger { STRANGER } else { FROM }.parse().unwrap();
        let train = Train { index: 0, bytes: &bytes, segment, from, at: local.map(at), tos: 0 };

        let mut divided = Vec::new();
        let mut end = 0;
        runs(Side::Client, &routes.read(), &train, |run| {
            assert_eq!(run.start, end);
            end += run.length;
            divided.push(run);
        });

        prop_assert_eq!(end, bytes.len());
        for pair in divided.windows(2) {
            prop_assert!(!pair[0].route.is_like(&pair[1].route), "a run is divided for nothing");
        }
        for run in divided {
            let part = &bytes[run.start..][..run.length];
            let routed = part.chunks(segment).map(|datagram| naive(&routes, &train, datagram));
            let routed: Vec<_> = routed.collect();
            prop_assert!(routed.iter().all(|route| route.is_like(&run.route)));
            prop_assert_eq!(routed.last(), Some(&run.route), "the last sequence number counts");
        }
    }
}
