//! The memory of the gateway's rules. The allocator of this process counts, so the file has one
//! test.

use std::{
    alloc::System,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use cmsg_proto::{
    SessionId, TagDigest, Time,
    gateway::{
        Admission, Announcement, Local, Origin, Routes, Rules, Seen, Side, Spi, SpiCandidates,
        Timeouts,
    },
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const SESSIONS: u32 = 5000;

/// What the counters of these sessions take in the daemon: four flows a side of three words each,
/// and two words.
const COUNTERS: usize = SESSIONS as usize * (2 * 4 * 3 + 2) * 8;

const START: Time = Time::from_millis(1_800_000_000_000);

fn address(network: u8, number: u32, port: u16) -> SocketAddr {
    let [_, _, high, low] = number.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(10, network, high, low), port))
}

fn announcement(number: u32) -> Announcement {
    let id: SessionId = format!("0b1c2d3e-0000-4000-8000-{number:012x}").parse().expect("a UUID");
    Announcement {
        id,
        key: None,
        agent: agent(number),
        hostname: format!("desktop-{number:05}.example.test").parse().ok(),
        tag: TagDigest::of(format!("SCS1tag{number}").as_bytes()),
        issued: START,
    }
}

fn agent(number: u32) -> SocketAddr {
    address(1, number, 4172)
}

fn client(number: u32) -> SocketAddr {
    address(2, number, 50_002)
}

/// The flows of a session: a side, its address, and the number in its datagrams.
fn flows(number: u32) -> [(Side, SocketAddr, Spi); 2] {
    let spi = |first: u32| Spi::from_bytes((first + number).to_be_bytes());
    [(Side::Client, client(number), spi(1 << 20)), (Side::Agent, agent(number), spi(1 << 21))]
}

/// A session whose client and agent have a flow each.
fn connect(admission: &mut Admission, routes: &Routes, number: u32) {
    let announced = announcement(number);
    let tag = announced.tag;
    admission.announce(announced, START).expect("there is room");
    let control =
        admission.admit(&[tag], client(number).ip(), START).expect("it is announced").control;
    for (side, from, spi) in flows(number) {
        admission.observe(control, side, &[b"keys".as_slice(), &spi.bytes()].concat());
        let candidates = SpiCandidates { first: spi, second: None, third: None };
        let local = Some(Local { at: IpAddr::from([192, 0, 2, 1]), is_usual: false });
        let now = (START, |_| Seen::default());
        // The client's first datagram has no destination until the agent's.
        let _ = admission.datagram(side, Origin { from, local }, candidates, now);
    }
    admission.take_changes().into_iter().for_each(|change| routes.apply(change));
    admission.take_events();
}

#[test]
fn five_thousand_sessions_with_two_flows_each_take_at_most_20_mib() {
    let region = Region::new(ALLOCATOR);
    let used = || {
        let stats = region.change();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    let timeouts = Timeouts {
        announced: Duration::from_secs(240),
        resume: Duration::from_secs(300),
        udp_idle: Duration::from_secs(60),
    };
    let mut admission = Admission::new(Rules { max_connections: SESSIONS, timeouts });
    let routes = Routes::default();

    (0..SESSIONS).for_each(|number| connect(&mut admission, &routes, number));
    // A minute later, control bytes are no longer searched for the numbers of flows.
    admission.tick(START + Duration::from_secs(61), |_| 1);
    admission.take_changes().into_iter().for_each(|change| routes.apply(change));
    admission.take_events();

    let used = used() + COUNTERS;
    assert_eq!(admission.count(), 5000);
    let published = routes.read();
    for number in [0, SESSIONS - 1] {
        for (side, from, spi) in flows(number) {
            let candidates = SpiCandidates { first: spi, second: None, third: None };
            assert!(published.find(side, from, candidates).is_some(), "{side:?} of {number}");
        }
    }
    assert!(used <= 20 << 20, "{used} bytes");
    assert!(used > 2 << 20, "the allocator counts: {used} bytes");
}
