//! The keys of `SecurityGateway.conf` by which gateways take over each other's sessions.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use crate::{
    connection_manager::MaybeAddress,
    keys::Key,
    reader::Reader,
    values::{BadValue, ConnectionLimit, HostPort, Pin, bad},
};

pub(crate) const GATEWAY_ID: Key = Key::new(
    "GatewayId",
    "",
    "1 to 65535",
    "number of this gateway among its peers; required with `Peer`; default: none",
);
pub(crate) const PEER_LISTEN_ADDRESS: Key = Key::new(
    "PeerListenAddress",
    "off",
    "IP:PORT or off",
    "listening address for the other gateways that may take over sessions",
);
pub(crate) const PEER: Key = Key::list(
    "Peer",
    "ID@HOST:PORT=sha256:HEX",
    "another gateway that may take over sessions: its `GatewayId`, its `PeerListenAddress`, and the \
     SHA-256 of its public key, which it logs when it starts",
);
pub(crate) const SHARED_ADDRESS: Key = Key::list(
    "SharedAddress",
    "IP",
    "address that moves between the gateways, for example by VRRP",
);
pub(crate) const MAX_STANDBY: Key = Key::new(
    "MaxStandby",
    "20000",
    "1 to 100000",
    "maximum number of sessions of other gateways that this one may take over",
);

/// Maximum number of peers.
pub const MAX_PEERS: usize = 16;

/// How a gateway speaks to its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// `GatewayId`: the number of this gateway among its peers.
    pub id: u16,
    /// `PeerListenAddress`: listening address for peers.
    pub listen: Option<SocketAddr>,
    /// `Peer`: the other gateways, with different ids.
    pub peers: Vec<Peer>,
    /// `SharedAddress`: addresses that move between the gateways. They are also valid as `aud` of
    /// a token.
    pub shared: Vec<IpAddr>,
    /// `MaxStandby`: maximum number of sessions of other gateways.
    pub max_standby: usize,
}

/// Another gateway: `ID@HOST:PORT=PIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its `GatewayId`.
    pub id: u16,
    /// Its `PeerListenAddress`.
    pub address: HostPort,
    /// SHA-256 of its public key.
    pub pin: Pin,
}

impl FromStr for Peer {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let parsed = text.split_once('@').and_then(|(id, rest)| {
            let (address, pin) = rest.split_once('=')?;
            Some(Self {
                id: id.trim().parse::<GatewayId>().ok()?.0,
                address: address.trim().parse().ok()?,
                pin: pin.trim().parse().ok()?,
            })
        });
        parsed.map_or_else(|| bad(text, "`ID@HOST:PORT=sha256:HEX`"), Ok)
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}={}", self.id, self.address, self.pin)
    }
}

/// The number of a gateway, 1 to 65535.
struct GatewayId(u16);

impl FromStr for GatewayId {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.parse() {
            Ok(id) if id > 0 => Ok(Self(id)),
            _ => bad(text, "a number from 1 to 65535"),
        }
    }
}

impl Failover {
    /// Reads the keys. `None` without a peer.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let id = reader.maybe::<GatewayId>("GatewayId").map(|id| id.0);
        let listen = reader.one::<MaybeAddress>("PeerListenAddress");
        let peers: Vec<Peer> = reader.many("Peer");
        let shared: Vec<IpAddr> = reader.many("SharedAddress");
        let max_standby = reader.one::<ConnectionLimit>("MaxStandby");
        if peers.is_empty() {
            return None;
        }
        let Some(id) = id else {
            let what =
                "is missing or invalid; every gateway with a `Peer` needs a number of its own";
            reader.problem(None, "GatewayId", what.to_owned());
            return None;
        };
        if peers.len() > MAX_PEERS {
            let what =
                format!("is set {} times; at most {MAX_PEERS} peers are supported", peers.len());
            reader.problem(None, "Peer", what);
        }
        let mut ids = BTreeSet::from([id]);
        let mut pins = BTreeSet::new();
        for peer in &peers {
            if !ids.insert(peer.id) {
                let owner = if peer.id == id { "this gateway" } else { "another peer" };
                let what =
                    format!("the number {} of `{}` belongs to {owner}", peer.id, peer.address);
                reader.problem(None, "Peer", what);
            }
            if !pins.insert(peer.pin.0) {
                let what = format!("the key of `{}` belongs to another peer", peer.address);
                reader.problem(None, "Peer", what);
            }
        }
        Some(Self {
            id,
            listen: listen?.0,
            peers,
            shared: shared.into_iter().map(|ip| ip.to_canonical()).collect(),
            max_standby: max_standby?.as_usize(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{ConfFile, SecurityGateway};

    const PIN: &str = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn read(more: &str) -> Result<Option<super::Failover>, String> {
        let file = ConfFile::parse(&format!("ExternalRoutableIP = 203.0.113.7\n{more}"));
        let read = SecurityGateway::read(&file).map_err(|error| error.to_string())?;
        Ok(read.value.failover)
    }

    #[test]
    fn without_a_peer_there_is_no_failover() {
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("GatewayId = 1\nPeerListenAddress = 10.0.0.1:4173\n"), Ok(None));
    }

    #[test]
    fn a_gateway_has_an_id_peers_and_shared_addresses() {
        let other = PIN.replace("00", "01");
        let conf = format!(
            "GatewayId = 1\nPeerListenAddress = 10.0.0.1:4173\nPeer = 2@10.0.0.2:4173={PIN}\n\
             Peer = 3@[2001:db8::3]:4173={other}\nSharedAddress = ::ffff:203.0.113.100\n"
        );

        let read = read(&conf).unwrap().unwrap();

        assert_eq!((read.id, read.max_standby), (1, 20_000));
        assert_eq!(read.listen, Some("10.0.0.1:4173".parse().unwrap()));
        let peers: Vec<_> = read.peers.iter().map(ToString::to_string).collect();
        let expected = [format!("2@10.0.0.2:4173={PIN}"), format!("3@[2001:db8::3]:4173={other}")];
        assert_eq!(peers, expected);
        assert_eq!(read.shared, ["203.0.113.100".parse::<std::net::IpAddr>().unwrap()]);
    }

    #[test]
    fn contradictions_are_refused_with_what_to_change() {
        let table = [
            (
                format!("Peer = 2@10.0.0.2:4173={PIN}\n"),
                "`GatewayId`: is missing or invalid; every gateway with a `Peer` needs a number of \
                 its own",
            ),
            (
                format!("GatewayId = 2\nPeer = 2@10.0.0.2:4173={PIN}\n"),
                "`Peer`: the number 2 of `10.0.0.2:4173` belongs to this gateway",
            ),
            (
                format!("GatewayId = 1\nPeer = 2@a:1={PIN}\nPeer = 3@b:1={PIN}\n"),
                "`Peer`: the key of `b:1` belongs to another peer",
            ),
            (
                format!("GatewayId = 1\nPeer = 0@10.0.0.2:4173={PIN}\n"),
                "line 3: `Peer`: `0@10.0.0.2:4173=sha256:00112233445566778899aabbccddeeff0011223344556677\
                 8899aabbc` is not `ID@HOST:PORT=sha256:HEX`",
            ),
        ];
        for (conf, expected) in table {
            assert_eq!(read(&conf), Err(expected.to_owned()));
        }
    }
}
