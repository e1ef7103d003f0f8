//! The IPv4 networks that are in use around this host. Docker's network for the services is of
//! IPv4, so those of IPv6 do not matter.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::Ipv4Net;
use nix::ifaddrs::getifaddrs;
use procfs::net::RouteEntry;

/// Wider routes lead everywhere, as those of a VPN that takes all traffic.
const WIDEST: u8 = 8;

/// A network in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) network: Ipv4Net,
    /// What it is, as a sentence goes on.
    pub(crate) what: String,
}

/// Reads all of them; Docker's other networks are given.
pub(crate) fn read(broker: Option<Ipv4Addr>, of_docker: &[Taken]) -> Vec<Taken> {
    let mut taken = routes(procfs::net::route().unwrap_or_default());
    for interface in interfaces() {
        // The system makes a route for each of them.
        if !taken.iter().any(|other| other.network == interface.network) {
            taken.push(interface);
        }
    }
    let host =
        |address, what: &str| Taken { network: Ipv4Net::from(address), what: what.to_owned() };
    let servers = resolvers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let servers = servers.into_iter().filter_map(|server| match server {
        IpAddr::V4(address) => Some(host(address, "a DNS server")),
        IpAddr::V6(_) => None,
    });
    taken.extend(servers);
    taken.extend(broker.map(|address| host(address, "the connection broker")));
    taken.extend_from_slice(of_docker);
    taken
}

/// The DNS servers in a file like `/etc/resolv.conf`.
pub(crate) fn resolvers(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse().ok()
    };
    text.lines().filter_map(address).collect()
}

/// The routes of IPv4.
fn routes(all: Vec<RouteEntry>) -> Vec<Taken> {
    let taken = |route: RouteEntry| {
        let network = Ipv4Net::with_netmask(route.destination, route.mask).ok()?.trunc();
        let what = format!("a route by `{}`", route.iface);
        (network.prefix_len() >= WIDEST).then_some(Taken { network, what })
    };
    all.into_iter().filter_map(taken).collect()
}

/// The addresses of this host by which others may reach it, those of IPv4 first.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
    };
    let reaches = |address: &IpAddr| match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    };
    let mut addresses: Vec<_> =
        getifaddrs().into_iter().flatten().filter_map(address).filter(reaches).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

fn interfaces() -> Vec<Taken> {
    let taken = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?.as_sockaddr_in()?.ip();
        let mask = interface.netmask?.as_sockaddr_in()?.ip();
        let network = Ipv4Net::with_netmask(address, mask).ok()?.trunc();
        Some(Taken { network, what: format!("the interface `{}`", interface.interface_name) })
    };
    getifaddrs().into_iter().flatten().filter_map(taken).collect()
}

pub(crate) const PRIVATE: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// The same, in the order in which a free network is looked for: near the default first, and last
/// where homes and offices have theirs.
const PROPOSED: [Ipv4Net; 5] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 101, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 128, 0, 0), 9),
    PRIVATE[1],
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 9),
    PRIVATE[2],
];

/// The first network of that size that is nobody's.
pub(crate) fn free(prefix: u8, taken: &[Taken]) -> Option<Ipv4Net> {
    PROPOSED.iter().find_map(|range| free_within(*range, prefix, taken))
}

/// Goes from one network in the way to the address behind it.
fn free_within(range: Ipv4Net, prefix: u8, taken: &[Taken]) -> Option<Ipv4Net> {
    let mut start = range.network();
    loop {
        let candidate = Ipv4Net::new(start, prefix).ok()?;
        if !range.contains(&candidate) {
            return None;
        }
        let Some(other) = taken.iter().find(|other| overlap(candidate, other.network)) else {
            return Some(candidate);
        };
        // One of two networks that overlap holds the other, so behind both a network can begin.
        let last = candidate.broadcast().max(other.network.broadcast());
        start = u32::from(last).checked_add(1)?.into();
    }
}

pub(crate) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests {
    use procfs::{FromBufRead as _, net::RouteEntries};

    use super::*;

    fn taken(network: &str, what: &str) -> Taken {
        Taken { network: network.parse().unwrap(), what: what.to_owned() }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_are_read_without_those_that_lead_everywhere() {
        const TEXT: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            tun0\t00000080\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n\
            tun0\t0000000A\t010200C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";

        let routes = routes(RouteEntries::from_buf_read(TEXT.as_bytes()).unwrap().0);

        let [vpn, docker] = ["a route by `tun0`", "a route by `docker0`"];
        assert_eq!(routes, [taken("10.0.0.0/8", vpn), taken("172.17.0.0/16", docker)]);
    }

    #[test]
    fn dns_servers_are_read_beside_other_lines() {
        let text = "# nameserver 192.0.2.1\nsearch a.example\nnameserver 192.0.2.53 \n\
                    nameserver\t2001:db8::53\nnameserver nobody\noptions timeout:1\n";

        let expected: [IpAddr; 2] =
            ["192.0.2.53", "2001:db8::53"].map(|text| text.parse().unwrap());
        assert_eq!(resolvers(text), expected);
    }

    #[test]
    fn the_host_tells_of_loopback_the_broker_and_what_docker_has() {
        let of_docker = taken("172.20.0.0/16", "the Docker network `other`");

        let read = read(Some([192, 0, 2, 7].into()), std::slice::from_ref(&of_docker));

        assert!(read.iter().any(|one| one.network.contains(&Ipv4Addr::LOCALHOST)), "{read:?}");
        assert_eq!(
            read[read.len() - 2..],
            [taken("192.0.2.7/32", "the connection broker"), of_docker]
        );
    }
}
