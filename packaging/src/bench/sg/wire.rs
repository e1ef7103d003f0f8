//! The benchmark's datagrams: each has the mark of its session, so that a wrong delivery is
//! noticed.

use std::net::{Ipv4Addr, SocketAddrV4};

use serde::{Deserialize, Serialize};

/// Bytes of a datagram, without a prefix of the relay.
pub(super) const SIZE: usize = 1200;
/// Port of every client and agent.
pub(super) const PORT: u16 = 4172;
/// The agent of relays that have only one.
pub(super) const SHARED_AGENT: Ipv4Addr = Ipv4Addr::new(10, 10, 255, 1);
/// The ChannelData header (RFC 8656, section 12.4) of the only channel of a session.
pub(super) const CHANNEL: [u8; 4] = {
    let [.., high, low] = SIZE.to_be_bytes();
    [0x40, 0, high, low]
};

/// Sessions are numbered from 1.
pub(super) fn client_ip(session: u32) -> Ipv4Addr {
    numbered(11, session)
}

pub(super) fn agent_ip(session: u32) -> Ipv4Addr {
    numbered(10, session)
}

fn numbered(network: u8, session: u32) -> Ipv4Addr {
    let [.., high, low] = session.to_be_bytes();
    Ipv4Addr::new(10, network, high, low)
}

/// The session whose agent has this address.
pub(super) fn session_of(agent: Ipv4Addr) -> u32 {
    let [_, _, high, low] = agent.octets();
    u32::from_be_bytes([0, 0, high, low])
}

/// One of the two sides of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    Clients,
    Agents,
}

impl Side {
    /// The SPI of a session's datagrams from this side.
    pub(super) fn spi(self, session: u32) -> u32 {
        let side = match self {
            Self::Clients => 0xc1,
            Self::Agents => 0xa1,
        };
        side << 24 | session
    }
}

/// How a relay is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Relay {
    pub(super) id: u8,
    pub(super) kind: Kind,
    /// Where clients send their datagrams; not for [`Kind::Routing`].
    pub(super) clients: SocketAddrV4,
    /// Where it accepts TLS.
    pub(super) tls: Option<SocketAddrV4>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// The Security Gateway: sessions are announced on this unix socket.
    Gateway { socket: std::path::PathBuf },
    /// A proxy with a single agent.
    Proxy,
    /// A TURN server.
    Turn,
    /// No relay: clients send to agents.
    Routing,
}

impl Relay {
    pub(super) fn agent(&self, session: u32) -> Ipv4Addr {
        if self.kind == Kind::Proxy { SHARED_AGENT } else { agent_ip(session) }
    }

    /// Where the client of a session sends to, and receives from.
    pub(super) fn peer_of_client(&self, session: u32) -> SocketAddrV4 {
        match self.kind {
            Kind::Routing => SocketAddrV4::new(agent_ip(session), PORT),
            _ => self.clients,
        }
    }

    /// What stands before a datagram on the client's side.
    pub(super) fn prefix(&self, side: Side) -> &'static [u8] {
        match (&self.kind, side) {
            (Kind::Turn, Side::Clients) => &CHANNEL,
            _ => &[],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// From a client, until the agent answers.
    Hello,
    /// The answer of an agent.
    Welcome,
    Data,
}

/// What a datagram says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) relay: u8,
    pub(super) purpose: Purpose,
    /// Number of the measurement.
    pub(super) run: u16,
    pub(super) session: u32,
    /// Nanoseconds of the monotonic clock.
    pub(super) sent: u64,
}

const MAGIC: [u8; 4] = *b"SGBN";

impl Mark {
    /// Writes a datagram with this SPI and sequence number.
    pub(super) fn write(&self, spi: u32, sequence: u32, bytes: &mut [u8]) {
        bytes[0..4].copy_from_slice(&spi.to_be_bytes());
        bytes[4..8].copy_from_slice(&sequence.to_be_bytes());
        bytes[8..12].copy_from_slice(&MAGIC);
        bytes[12] = self.relay;
        bytes[13] = match self.purpose {
            Purpose::Hello => 1,
            Purpose::Welcome => 2,
            Purpose::Data => 3,
        };
        bytes[14..16].copy_from_slice(&self.run.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.session.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.sent.to_be_bytes());
    }

    /// Reads a datagram; `None` if it is none of the benchmark.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let fields: &[u8; 28] = bytes.first_chunk()?;
        if fields[8..12] != MAGIC || bytes.len() != SIZE {
            return None;
        }
        let purpose = match fields[13] {
            1 => Purpose::Hello,
            2 => Purpose::Welcome,
            3 => Purpose::Data,
            _ => return None,
        };
        Some(Self {
            relay: fields[12],
            purpose,
            run: u16::from_be_bytes([fields[14], fields[15]]),
            session: u32::from_be_bytes(*fields[16..].first_chunk()?),
            sent: u64::from_be_bytes(*fields[20..].first_chunk()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark =
        Mark { relay: 2, purpose: Purpose::Data, run: 700, session: 4999, sent: 1 << 40 };

    #[test]
    fn a_mark_survives_the_wire() {
        let mut bytes = [0; SIZE];

        MARK.write(Side::Agents.spi(4999), 17, &mut bytes);

        assert_eq!(Mark::read(&bytes), Some(MARK));
        assert_eq!(bytes[..8], [0xa1, 0, 0x13, 0x87, 0, 0, 0, 17]);
        assert_eq!(Mark::read(&bytes[..SIZE - 1]), None, "one byte is missing");
        bytes[8] ^= 1;
        assert_eq!(Mark::read(&bytes), None, "not a datagram of the benchmark");
    }

    #[test]
    fn a_session_has_its_own_addresses() {
        assert_eq!(client_ip(5000), Ipv4Addr::new(10, 11, 19, 136));
        assert_eq!(agent_ip(1), Ipv4Addr::new(10, 10, 0, 1));
        assert_eq!(session_of(agent_ip(5000)), 5000);
    }
}
