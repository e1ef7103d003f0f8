//! Where to listen: what was said, what the configuration has already, or the default.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use cmsg_config::{connection_manager::MaybeAddress, socket::Role, values::BadValue};

use super::values::bad;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListenKey {
    /// Clients at the Connection Manager; at a gateway without one, announcements and `/health`.
    Broker,
    /// Plain HTTP, answered with a redirect.
    Http,
    /// Clients at the gateway.
    Pcoip,
    /// Where the gateway's datagrams to agents come from.
    UdpSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenAt {
    pub(crate) key: ListenKey,
    /// Its address; port 0 for a free one, none for off.
    pub(crate) address: Option<SocketAddr>,
}

/// Where a listener is by the configuration that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConfiguredListener {
    /// The address that stands there.
    pub(crate) address: MaybeAddress,
    /// Whether the installer wrote it.
    pub(crate) is_ours: bool,
}

/// Where a listener is to be, before the host was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    At(SocketAddr),
    /// At that address, on a port that is free.
    AnyPort(IpAddr),
    Off,
}

impl Choice {
    fn of(address: MaybeAddress) -> Self {
        address.0.map_or(Self::Off, Self::At)
    }
}

impl ListenKey {
    /// All listeners of a host with these roles, each with the role that listens. HTTPS is the
    /// gateway's where there is no Connection Manager.
    pub(crate) fn of(roles: &[Role]) -> Vec<(Role, Self)> {
        let mut all = Vec::new();
        if roles.contains(&Role::Cm) {
            all.extend([(Role::Cm, Self::Broker), (Role::Cm, Self::Http)]);
        } else {
            all.push((Role::Sg, Self::Broker));
        }
        if roles.contains(&Role::Sg) {
            all.extend([(Role::Sg, Self::Pcoip), (Role::Sg, Self::UdpSource)]);
        }
        all
    }

    /// The key in the role's configuration.
    pub(crate) fn conf_key(self, role: Role) -> &'static str {
        match self {
            Self::Broker if role == Role::Sg => "HttpsListenAddress",
            Self::Broker | Self::Pcoip => "ListenAddress",
            Self::Http => "HttpListenAddress",
            Self::UdpSource => "UdpSourceAddress",
        }
    }

    /// Whether a TCP port is taken.
    pub(crate) fn takes_tcp(self) -> bool {
        self != Self::UdpSource
    }

    /// Whether a UDP port is taken.
    pub(crate) fn takes_udp(self) -> bool {
        matches!(self, Self::Pcoip | Self::UdpSource)
    }

    fn documented_port(self) -> u16 {
        match self {
            Self::Broker => 443,
            Self::Http => 80,
            Self::Pcoip => 4172,
            Self::UdpSource => 55000,
        }
    }
}

impl ListenAt {
    /// Decides where a listener is to be: as it was said, else where the administrator put it, else
    /// by default. Where any port will do, one that was found before stays.
    pub(crate) fn choose(
        said: Option<&Self>,
        standing: Option<ConfiguredListener>,
        default: Choice,
    ) -> Choice {
        let wish = match (said, standing) {
            (Some(said), _) => said.choice(),
            (None, Some(ConfiguredListener { address, is_ours: false })) => {
                return Choice::of(address);
            }
            (None, _) => default,
        };
        match (wish, standing.and_then(|standing| standing.address.0)) {
            (Choice::AnyPort(ip), Some(found)) if found.ip() == ip => Choice::At(found),
            _ => wish,
        }
    }

    fn choice(&self) -> Choice {
        match self.address {
            Some(any) if any.port() == 0 => Choice::AnyPort(any.ip()),
            address => Choice::of(MaybeAddress(address)),
        }
    }

    /// Where a listener is unless it was said: any loopback port under another root, else the
    /// documented port of the machine.
    pub(crate) fn default(key: ListenKey, is_under_root: bool, takes_ipv6: bool) -> Choice {
        if is_under_root {
            return Choice::AnyPort(Ipv4Addr::LOCALHOST.into());
        }
        let everywhere: IpAddr =
            if takes_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Choice::At((everywhere, key.documented_port()).into())
    }
}

impl FromStr for ListenAt {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let parsed = text.split_once('=').and_then(|(key, address)| {
            let key = match key.trim() {
                "broker" => ListenKey::Broker,
                "http" => ListenKey::Http,
                "pcoip" => ListenKey::Pcoip,
                "udp-source" => ListenKey::UdpSource,
                _ => return None,
            };
            let MaybeAddress(address) = address.trim().parse().ok()?;
            (address.is_some() || key == ListenKey::Http).then_some(Self { key, address })
        });
        const WANTED: &str =
            "`KEY=ADDR:PORT` with the key broker, pcoip, udp-source or http, or `http=off`";
        parsed.ok_or_else(|| bad(text, WANTED))
    }
}

impl fmt::Display for ListenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker => "broker",
            Self::Http => "http",
            Self::Pcoip => "pcoip",
            Self::UdpSource => "udp-source",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Choice {
        Choice::At(text.parse().unwrap())
    }

    fn standing(text: &str, is_ours: bool) -> ConfiguredListener {
        ConfiguredListener { address: text.parse().unwrap(), is_ours }
    }

    #[test]
    fn https_is_the_gateways_only_where_it_is_alone() {
        use ListenKey::{Broker, Http, Pcoip, UdpSource};
        let keys = |roles: &[Role]| {
            let all = ListenKey::of(roles).into_iter();
            all.map(|(role, key)| (key, key.conf_key(role))).collect::<Vec<_>>()
        };
        let broker = [(Broker, "ListenAddress"), (Http, "HttpListenAddress")];
        let gateway = [(Pcoip, "ListenAddress"), (UdpSource, "UdpSourceAddress")];

        assert_eq!(keys(&[Role::Cm, Role::Sg]), [broker, gateway].concat());
        assert_eq!(keys(&[Role::Cm]), broker);
        assert_eq!(keys(&[Role::Sg]), [&[(Broker, "HttpsListenAddress")], &gateway[..]].concat());
    }

    #[test]
    fn what_is_said_is_read() {
        let table = [
            ("broker=127.0.0.1:8443", ListenKey::Broker, Some("127.0.0.1:8443")),
            ("pcoip=[::]:0", ListenKey::Pcoip, Some("[::]:0")),
            ("udp-source=0.0.0.0:55000", ListenKey::UdpSource, Some("0.0.0.0:55000")),
            ("http=off", ListenKey::Http, None),
        ];
        for (text, key, address) in table {
            let address = address.map(|address| address.parse().unwrap());

            assert_eq!(text.parse(), Ok(ListenAt { key, address }), "{text}");
        }
        for text in ["broker", "broker=off", "broker=host:1", "x=127.0.0.1:1", "http=80"] {
            assert!(text.parse::<ListenAt>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_that_was_found_once_stays() {
        let any = Choice::AnyPort(Ipv4Addr::LOCALHOST.into());
        let found = Some("127.0.0.1:20001");
        let table = [
            (None, None, any),
            (None, found, at("127.0.0.1:20001")),
            (Some("http=127.0.0.1:0"), None, any),
            (Some("http=127.0.0.1:0"), found, at("127.0.0.1:20001")),
            (Some("http=127.0.0.2:0"), found, Choice::AnyPort([127, 0, 0, 2].into())),
            (Some("http=127.0.0.1:8080"), found, at("127.0.0.1:8080")),
            (Some("http=off"), found, Choice::Off),
        ];
        for (said, found, choice) in table {
            let said = said.map(|said| said.parse().unwrap());
            for is_ours in [false, true] {
                let standing = found.map(|text| standing(text, is_ours));

                let chosen = ListenAt::choose(said.as_ref(), standing, any);

                assert_eq!(chosen, choice, "{said:?} {standing:?}");
            }
        }
    }

    #[test]
    fn what_the_administrator_wrote_stays_and_what_the_installer_wrote_follows_its_default() {
        let any = Choice::AnyPort(Ipv4Addr::LOCALHOST.into());
        let table = [
            ("0.0.0.0:443", false, at("[::]:443"), at("0.0.0.0:443")),
            ("0.0.0.0:443", true, at("[::]:443"), at("[::]:443")),
            ("off", false, any, Choice::Off),
            ("off", true, any, any),
            ("127.0.0.2:8443", false, any, at("127.0.0.2:8443")),
            ("127.0.0.2:8443", true, any, any),
        ];
        for (text, is_ours, default, choice) in table {
            let standing = standing(text, is_ours);

            assert_eq!(ListenAt::choose(None, Some(standing), default), choice, "{standing:?}");
        }
    }

    #[test]
    fn defaults_are_the_documented_ports_or_any_loopback_port() {
        assert_eq!(ListenAt::default(ListenKey::Broker, false, false), at("0.0.0.0:443"));
        assert_eq!(ListenAt::default(ListenKey::UdpSource, false, true), at("[::]:55000"));
        assert_eq!(
            ListenAt::default(ListenKey::Pcoip, true, true),
            Choice::AnyPort(Ipv4Addr::LOCALHOST.into())
        );
    }
}
