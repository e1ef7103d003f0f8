//! The addresses to which a gateway may relay. The address in an agent's response is not trusted: a
//! desktop can name any host, and can register any address for its own name.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::{IpNet, Ipv4Net};

#[cfg(test)]
mod tests;

/// The networks of the key `AllowedAgents`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedAgents(Vec<IpNet>);

/// The error for an address that may not be an agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the agent's address {ip} is {kind}, and `AllowedAgents` (`--allowed-agents`) lacks it")]
pub struct Forbidden {
    /// The address; IPv4-mapped addresses are converted to IPv4.
    pub ip: IpAddr,
    /// Why it is not allowed by default.
    pub kind: Kind,
}

/// The kinds of addresses that are only allowed in networks of `AllowedAgents`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `0.0.0.0/8` or `::`; Linux connects to the host itself.
    Unspecified,
    /// `127.0.0.0/8` or `::1`.
    Loopback,
    /// Link-local: clouds serve credentials there.
    LinkLocal,
    /// A multicast group, which has no single host.
    Multicast,
    /// The limited broadcast address.
    Broadcast,
    /// An address of the gateway or of its host.
    Own,
}

/// What the broker and the network say about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The address at which the agent responded.
    pub ip: IpAddr,
    /// The address in the broker's response.
    pub named: Option<IpAddr>,
    /// The port in the broker's response, or 4172.
    pub port: u16,
}

impl AllowedAgents {
    /// The rule for the networks of `AllowedAgents`.
    #[must_use]
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }

    /// Whether a network contains the address. IPv4-mapped addresses are compared as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(&ip))
    }

    /// Checks an address, and all IPv4 addresses to which a translator or tunnel may change it.
    ///
    /// # Errors
    ///
    /// [`Forbidden`] if only a network in `AllowedAgents` could allow the address.
    pub fn check(&self, ip: IpAddr, is_own: impl Fn(IpAddr) -> bool) -> Result<(), Forbidden> {
        let ip = ip.to_canonical();
        if self.contains(ip) {
            return Ok(());
        }
        let special = |ip: IpAddr| special(ip).or_else(|| is_own(ip).then_some(Kind::Own));
        match [Some(ip)].into_iter().chain(embedded(ip)).flatten().find_map(special) {
            Some(kind) => Err(Forbidden { ip, kind }),
            None => Ok(()),
        }
    }

    /// The address to which the gateway connects. The agent's own statement is used if the broker
    /// names the same address, the agent was reached there, or a network allows it. The agent's
    /// port is only used if the broker names it or a network allows the address.
    #[must_use]
    pub fn choose(
        &self,
        said: SocketAddr,
        reached: Reached,
        is_own: impl Fn(IpAddr) -> bool,
    ) -> SocketAddr {
        let Reached { ip, named, port } = reached;
        let (ip, said_ip) = (ip.to_canonical(), said.ip().to_canonical());
        let is_allowed = self.contains(said_ip);
        let is_named = named.is_some_and(|named| named.to_canonical() == said_ip);
        let is_good = is_allowed || said_ip == ip;
        match is_good || is_named && self.check(said_ip, is_own).is_ok() {
            true => SocketAddr::new(said_ip, if is_allowed { said.port() } else { port }),
            false => SocketAddr::new(ip, port),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Own => "the gateway's own",
        })
    }
}

/// The kind of a canonical address, if it is special.
fn special(ip: IpAddr) -> Option<Kind> {
    let table = match ip {
        IpAddr::V4(ip) => [
            (ip.octets()[0] == 0, Kind::Unspecified),
            (ip.is_loopback(), Kind::Loopback),
            (ip.is_link_local(), Kind::LinkLocal),
            (ip.is_multicast(), Kind::Multicast),
            (ip == Ipv4Addr::BROADCAST, Kind::Broadcast),
        ],
        IpAddr::V6(ip) => [
            (ip.is_unspecified(), Kind::Unspecified),
            (ip.is_loopback(), Kind::Loopback),
            (ip.is_unicast_link_local(), Kind::LinkLocal),
            (ip.is_multicast(), Kind::Multicast),
            (false, Kind::Broadcast),
        ],
    };
    table.into_iter().find_map(|(is, kind)| is.then_some(kind))
}

/// The IPv4 addresses in IPv6 addresses that translators or tunnels forward to IPv4:
/// IPv4-compatible and IPv4-translated ones, NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056) and Teredo
/// (RFC 4380).
fn embedded(ip: IpAddr) -> [Option<IpAddr>; 2] {
    let IpAddr::V6(ip) = ip else { return [None, None] };
    let at =
        |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)).into());
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => [at(high, low), None],
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [at(high, low), None],
        // A site's own prefix has 48 bits, and bits 64 to 71 are skipped, or it has 96.
        [0x64, 0xff9b, 1, high, middle, low, 0, 0] => {
            [at(high, (middle & 0xff) << 8 | low >> 8), None]
        }
        [0x64, 0xff9b, 1, _, _, _, high, low] => [at(high, low), None],
        [0x2002, high, low, ..] => [at(high, low), None],
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            [at(high, low), at(!client_high, !client_low)]
        }
        _ => [None, None],
    }
}

/// Converts a network of IPv4-mapped addresses to IPv4.
fn canonical(network: IpNet) -> IpNet {
    let mapped = |ip: Ipv6Addr| ip.to_ipv4_mapped();
    let IpNet::V6(v6) = network else { return network };
    match (v6.prefix_len().checked_sub(96), mapped(v6.network())) {
        (Some(length), Some(ip)) => Ipv4Net::new(ip, length).map_or(network, IpNet::V4),
        _ => network,
    }
}
