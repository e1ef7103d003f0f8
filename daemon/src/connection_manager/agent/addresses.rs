//! Which addresses an agent may have. Agents receive users' passwords, so an address is checked
//! before it is contacted.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::{connection_manager::upstream, own_addresses::OwnAddresses};
use cmsg_config::values::Host;
use cmsg_proto::{
    AllowedAgents,
    allowed::{Forbidden, Reached},
};

/// `AllowedAgents`, and the addresses of the gateways and of this host.
#[derive(Debug)]
pub(super) struct Addresses {
    allowed: AllowedAgents,
    own: OwnAddresses,
}

impl Addresses {
    pub(super) fn new(config: &cmsg_config::ConnectionManager) -> Self {
        let external = config.external_gateways.iter().map(|gateway| gateway.address);
        let public = config.own_gateway.iter().copied().chain(external);
        Self {
            allowed: AllowedAgents::new(config.allowed_agents.clone()),
            own: OwnAddresses::new(public),
        }
    }

    /// Checks an IP address. Host names are checked by the addresses to which they resolve.
    pub(super) fn check(&self, host: &Host) -> Result<(), Forbidden> {
        match host.as_str().parse() {
            Ok(ip) => self.check_ip(ip),
            Err(_) => Ok(()),
        }
    }

    /// The address to which the gateway connects.
    pub(super) fn choose(&self, said: SocketAddr, reached: Reached) -> SocketAddr {
        self.allowed.choose(said, reached, |ip| self.own.contain(ip))
    }

    /// Keeps the allowed addresses of an agent's host name.
    pub(super) fn filter(self: &Arc<Self>) -> Arc<upstream::Admit> {
        let addresses = Arc::clone(self);
        Arc::new(move |found| addresses.admit(found.into_iter()).map_err(io::Error::other))
    }

    fn check_ip(&self, ip: IpAddr) -> Result<(), Forbidden> {
        self.allowed.check(ip, |ip| self.own.contain(ip))
    }

    /// The allowed ones of these addresses. If there are none, why the first one is not allowed.
    fn admit(&self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Forbidden> {
        let mut refused = None;
        let mut admitted = Vec::new();
        for address in found {
            match self.check_ip(address.ip()) {
                Ok(()) => admitted.push(address),
                Err(forbidden) => refused = refused.or(Some(forbidden)),
            }
        }
        match refused {
            Some(forbidden) if admitted.is_empty() => Err(forbidden),
            _ => Ok(admitted),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use cmsg_config::{cause, values::HostPort};
    use cmsg_proto::allowed::Kind;
    use http::Method;

    use super::*;
    use crate::{
        connection_manager::upstream::{Address, Client},
        https::bodies::Buffer,
        reload::Files,
        tls::Trust,
    };

    fn addresses(networks: &[&str]) -> Addresses {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Addresses {
            allowed: AllowedAgents::new(networks),
            own: OwnAddresses::new(["203.0.113.7".parse().unwrap()]),
        }
    }

    #[test]
    fn an_address_is_checked_in_any_spelling() {
        let table = [
            ("10.0.0.5", None),
            ("desk.example", None),
            ("127.0.0.1", Some(Kind::Loopback)),
            ("::1", Some(Kind::Loopback)),
            ("::ffff:127.0.0.1", Some(Kind::Loopback)),
            ("64:ff9b::127.0.0.1", Some(Kind::Loopback)),
            ("0.0.0.0", Some(Kind::Unspecified)),
            ("203.0.113.7", Some(Kind::Own)),
        ];
        for (host, kind) in table {
            let judged = addresses(&[]).check(&host.parse().unwrap());

            assert_eq!(judged.err().map(|forbidden| forbidden.kind), kind, "{host}");
        }
    }

    #[test]
    fn a_name_resolves_to_its_allowed_addresses() {
        let found = || ["127.0.0.1:0", "10.0.0.5:0"].map(|at| at.parse().unwrap()).into_iter();

        let one = addresses(&[]).admit(found()).unwrap();
        let both = addresses(&["127.0.0.0/8"]).admit(found()).unwrap();
        let none = addresses(&[]).admit(found().take(1)).unwrap_err();

        assert_eq!(one, found().skip(1).collect::<Vec<_>>());
        assert_eq!(both, found().collect::<Vec<_>>());
        assert_eq!(none.kind, Kind::Loopback);
    }

    /// Why a connection to this host fails, where nothing listens.
    async fn failure(networks: &[&str], host: &str) -> String {
        let admit = Some(Arc::new(addresses(networks)).filter());
        let wait = Duration::from_secs(20);
        let client = Client::new(&Trust::Off, &Files::default(), wait, admit).unwrap();
        let to = HostPort { host: host.parse().unwrap(), port: 1 };
        let request = client.request(Method::GET, &Arc::new(Address::Tcp(to)), "/").closing();
        let sent = request.send(Bytes::new(), Buffer::unaccounted()).await;
        cause::chain(&sent.expect_err("nothing listens on port 1"))
    }

    #[tokio::test]
    async fn a_name_that_only_resolves_to_this_host_is_refused() {
        let loopback = ["127.0.0.0/8", "::1/128", "0.0.0.0/32"];
        for numeric in ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0"] {
            assert!(numeric.parse::<Host>().is_err(), "the system would read it as an address");
        }
        for host in ["localhost", "localhost."] {
            let refused = failure(&[], host).await;
            let allowed = failure(&loopback, host).await;

            assert!(refused.contains("`AllowedAgents`"), "{host}: {refused}");
            assert!(allowed.contains("refused"), "{host}: {allowed}");
        }
    }
}
