//! Where to listen: what was said, what the configuration has already, or the default.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use cmsg_config::{connection_manager::MaybeAddress, socket::Role, values::BadValue};

use super::values::bad;

/// One listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ListenKey {
    /// Clients at the Connection Manager.
    Broker,
    /// Plain HTTP, answered with a redirect.
    Http,
    /// Clients at the gateway.
    Pcoip,
    /// Where the gateway's datagrams to agents come from.
    UdpSource,
}

/// One `--listen KEY=ADDR:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenAt {
    /// The listener.
    pub(crate) key: ListenKey,
    /// Its address; port 0 for a free one, none for off.
    pub(crate) address: Option<SocketAddr>,
}

/// Where a listener is to be, before the host was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// There.
    At(SocketAddr),
    /// At that address, on a port that is free.
    AnyPort(IpAddr),
    /// Nowhere.
    Off,
}

impl ListenKey {
    /// All listeners of a role.
    pub(crate) fn of(role: Role) -> [Self; 2] {
        match role {
            Role::Cm => [Self::Broker, Self::Http],
            Role::Sg => [Self::Pcoip, Self::UdpSource],
        }
    }

    /// The role that listens.
    pub(crate) fn role(self) -> Role {
        match self {
            Self::Broker | Self::Http => Role::Cm,
            Self::Pcoip | Self::UdpSource => Role::Sg,
        }
    }

    /// The key in the role's configuration.
    pub(crate) fn conf_key(self) -> &'static str {
        match self {
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
    /// Decides where a listener is to be. A free port that was chosen once and stands in the
    /// configuration stays.
    pub(crate) fn choose(said: Option<&Self>, written: Option<&str>, default: Choice) -> Choice {
        let written = written.and_then(|text| text.parse::<MaybeAddress>().ok());
        match (said.map(|said| said.address), written) {
            (Some(None), _) | (None, Some(MaybeAddress(None))) => Choice::Off,
            (Some(Some(said)), _) if said.port() != 0 => Choice::At(said),
            (Some(Some(said)), Some(MaybeAddress(Some(written)))) if said.ip() == written.ip() => {
                Choice::At(written)
            }
            (Some(Some(said)), _) => Choice::AnyPort(said.ip()),
            (None, Some(MaybeAddress(Some(written)))) => Choice::At(written),
            (None, None) => default,
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
            "`KEY=ADDR:PORT` with the key broker, pcoip, udp-source or http, nor `http=off`";
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
        let written = Some("127.0.0.1:20001");
        let table = [
            (None, None, any),
            (None, written, at("127.0.0.1:20001")),
            (None, Some("off"), Choice::Off),
            (None, Some("nonsense"), any),
            (Some("http=127.0.0.1:0"), None, any),
            (Some("http=127.0.0.1:0"), written, at("127.0.0.1:20001")),
            (Some("http=127.0.0.2:0"), written, Choice::AnyPort([127, 0, 0, 2].into())),
            (Some("http=127.0.0.1:8080"), written, at("127.0.0.1:8080")),
            (Some("http=off"), written, Choice::Off),
        ];
        for (said, written, choice) in table {
            let said = said.map(|said| said.parse().unwrap());

            assert_eq!(
                ListenAt::choose(said.as_ref(), written, any),
                choice,
                "{said:?} {written:?}"
            );
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
