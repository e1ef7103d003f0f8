//! The addresses of this host, which agents may only have if `AllowedAgents` lists them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use cmsg_proto::gateway::canonical;
use nix::{ifaddrs::getifaddrs, sys::socket::SockaddrStorage};

/// The public addresses of a role, and the current ones of the host's interfaces.
#[derive(Debug, Clone)]
pub(crate) struct OwnAddresses(Vec<IpAddr>);

impl OwnAddresses {
    /// `public` are addresses besides those of the interfaces.
    pub(crate) fn new(public: impl IntoIterator<Item = IpAddr>) -> Self {
        Self(public.into_iter().map(|ip| ip.to_canonical()).collect())
    }

    pub(crate) fn contain(&self, ip: IpAddr) -> bool {
        self.0.contains(&ip.to_canonical()) || is_local(ip)
    }
}

/// Whether an address belongs to this host: an interface has it, or the system routes it to itself.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback()
        || usual_source(SocketAddr::new(ip, 9)).is_ok_and(|source| source == ip)
        || is_of_an_interface(ip)
}

/// Checks the interfaces, since the system replies from the first address of an interface for some
/// of its other addresses.
fn is_of_an_interface(ip: IpAddr) -> bool {
    let has = |address: SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
        v4.or(v6) == Some(ip)
    };
    getifaddrs().is_ok_and(|mut all| all.any(|interface| interface.address.is_some_and(has)))
}

/// The source address that the system would use for this destination. Nothing is sent: connecting a
/// UDP socket only looks up the route.
pub(crate) fn usual_source(to: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(canonical(socket.local_addr()?).ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_address_is_local() {
        for interface in getifaddrs().unwrap() {
            let Some(address) = interface.address else { continue };
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
            let v6 = address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip()));
            for ip in [v4, v6].into_iter().flatten() {
                assert!(is_local(ip), "{ip}");
            }
        }
        assert!(!is_local("192.0.2.1".parse().unwrap()));
        assert!(!is_local("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn public_addresses_are_own_in_any_spelling() {
        let own = OwnAddresses::new(["203.0.113.7".parse().unwrap()]);

        for (ip, is_own) in [
            ("203.0.113.7", true),
            ("::ffff:203.0.113.7", true),
            ("127.0.0.9", true),
            ("192.0.2.1", false),
        ] {
            assert_eq!(own.contain(ip.parse().unwrap()), is_own, "{ip}");
        }
    }
}
