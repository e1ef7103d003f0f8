//! A Connection Manager and two gateways on separate hosts, of which the first fails and recovers.

use std::time::{Duration, Instant};

use cmsg_config::socket::{GatewayStanding, Role};
use e2e::{
    hosts::{Hosts, host::Host, network::Family},
    needs::met,
};

use super::{NEEDS, result, was_at};

/// Longer than a recovered gateway is tried last.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a Connection Manager's gateways match.
pub(crate) fn until_gateways(
    manager: &Host,
    like: impl Fn(&[GatewayStanding]) -> bool,
) -> Vec<GatewayStanding> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let unserved = manager.status(Role::Cm).unserved.expect("a manager knows its gateways");
        if like(&unserved.gateways) {
            return unserved.gateways;
        }
        assert!(Instant::now() < deadline, "{:?}", unserved.gateways);
    }
}

/// A Connection Manager on `a`, gateways on `b` and `c`, tried in this order.
fn installed(family: Family) -> Hosts {
    let hosts = Hosts::start(family);
    let (a, b, c) = (&hosts.a, &hosts.b, &hosts.c);
    let without = |half: &str| vec![format!("--enable-{half}=false")];
    a.install(&without("security-gateway"));
    for gateway in [b, c] {
        gateway.install(&[without("connection-manager"), Host::taking_from(a)].concat());
    }
    a.install(&[Host::announcing_to(b), Host::announcing_to(c)].concat());
    hosts
}

fn session_goes_through(hosts: &Hosts, gateway: &Host) {
    was_at(gateway, &result(hosts.client_of(&hosts.a, &[]).end(), None));
}

fn failover(family: Family) {
    if !met(&NEEDS) {
        return;
    }
    let hosts = installed(family);
    let (a, b, c) = (&hosts.a, &hosts.b, &hosts.c);
    session_goes_through(&hosts, b);

    b.kill();
    session_goes_through(&hosts, c);
    b.install(&[]);
    until_gateways(a, |gateways| gateways[0].takes_sessions);
    session_goes_through(&hosts, b);

    hosts.unplug(b);
    session_goes_through(&hosts, c);
    let silent = until_gateways(a, |gateways| !gateways[0].takes_sessions)[0].silent;
    session_goes_through(&hosts, c);
    session_goes_through(&hosts, c);
    let gateways = until_gateways(a, |_| true);
    assert_eq!((gateways[0].silent, gateways[0].takes_sessions), (silent, false), "{gateways:?}");
    assert!(a.status(Role::Cm).ready);

    hosts.plug(b);
    until_gateways(a, |gateways| gateways[0].takes_sessions);
    session_goes_through(&hosts, b);

    let log = a.log(Role::Cm);
    let told = |what: &str| log.matches(&format!("{what} gateway={}", b.outside)).count();
    let times =
        ["A gateway does not answer and is tried last", "A gateway answers again"].map(told);
    assert_eq!(times, [2, 2], "{log}");
    assert!(hosts.end().broker.iter().all(|event| event["event"] != "violation"));
}

#[test]
fn sessions_go_through_the_second_gateway_while_the_first_is_away_over_ipv4() {
    failover(Family::V4);
}

#[test]
fn sessions_go_through_the_second_gateway_while_the_first_is_away_over_ipv6() {
    failover(Family::V6);
}
