//! Which addresses an agent may have. Agents receive users' passwords, so an address is checked
//! before it is contacted.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::{connection_manager::upstream, own_addresses::OwnAddresses};
use cmsg_proto::{
    AllowedAgents,
    allowed::{Forbidden, Reached},
};
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
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

    /// Checks an IP address in a URL. Host names are checked by the addresses to which they
    /// resolve.
    pub(super) fn check(&self, url: &Url) -> Result<(), Forbidden> {
        let host = url.host_str().unwrap_or_default();
        match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => self.check_ip(ip),
            Err(_) => Ok(()),
        }
    }

    /// The address to which the gateway connects.
    pub(super) fn choose(&self, said: SocketAddr, reached: Reached) -> SocketAddr {
        self.allowed.choose(said, reached, |ip| self.own.contain(ip))
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

/// Resolves host names of agents to allowed addresses only.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Arc<Addresses>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = Arc::clone(&self.0);
        Box::pin(async move {
            let found = upstream::lookup(name.as_str()).await?;
            let admitted: Addrs = Box::new(addresses.admit(found.into_iter())?.into_iter());
            Ok(admitted)
        })
    }
}

#[cfg(test)]
mod tests {
    use cmsg_proto::allowed::Kind;

    use super::*;

    fn addresses(networks: &[&str]) -> Addresses {
        let networks = networks.iter().map(|network| network.parse().unwrap()).collect();
        Addresses {
            allowed: AllowedAgents::new(networks),
            own: OwnAddresses::new(["203.0.113.7".parse().unwrap()]),
        }
    }

    #[test]
    fn an_address_in_a_url_is_checked_in_any_spelling() {
        let table = [
            ("10.0.0.5", None),
            ("desk.example", None),
            ("127.0.0.1", Some(Kind::Loopback)),
            ("127.1", Some(Kind::Loopback)),
            ("2130706433", Some(Kind::Loopback)),
            ("0x7f000001", Some(Kind::Loopback)),
            ("0177.0.0.1", Some(Kind::Loopback)),
            ("[::1]", Some(Kind::Loopback)),
            ("[::ffff:127.0.0.1]", Some(Kind::Loopback)),
            ("[64:ff9b::127.0.0.1]", Some(Kind::Loopback)),
            ("0", Some(Kind::Unspecified)),
            ("203.0.113.7", Some(Kind::Own)),
        ];
        for (host, kind) in table {
            let url = Url::parse(&format!("https://{host}:60443/pcoip-agent/xml")).unwrap();

            let judged = addresses(&[]).check(&url);

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

    #[tokio::test]
    async fn a_name_that_only_resolves_to_this_host_is_refused() {
        let resolver = |networks| Resolver(Arc::new(addresses(networks)));
        let name = || "localhost".parse().unwrap();

        let refused = resolver(&[]).resolve(name()).await.err().unwrap();
        let absolute = resolver(&["127.0.0.0/8", "::1/128"]).resolve("localhost.".parse().unwrap());
        assert!(absolute.await.is_ok_and(|found| found.count() > 0));
        let found = resolver(&["127.0.0.0/8", "::1/128"]).resolve(name()).await.unwrap();

        assert!(refused.to_string().contains("`AllowedAgents`"), "{refused}");
        assert!(found.count() > 0);
    }
}
