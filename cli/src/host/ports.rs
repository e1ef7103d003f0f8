//! Finds out where the roles can listen, by listening there for an instant.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    ops::Range,
};

use crate::wanted::listen::{Choice, ListenKey};

/// Free ports are looked for here: below the ones that the system lends to clients.
const FREE: Range<u16> = 20_000..32_768;
const TRIES: u32 = 100;

/// Where one listener will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// There; nowhere for off.
    pub(crate) address: Option<SocketAddr>,
    /// Why it cannot be.
    pub(crate) trouble: Option<Trouble>,
    /// Whether any port would do, and this one happened to be free.
    pub(crate) is_any: bool,
}

/// Why a port cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Somebody else does.
    Taken(&'static str),
    /// The system refuses.
    Refused(String),
}

impl Listener {
    /// Its port.
    pub(crate) fn port(&self) -> Option<u16> {
        self.address.map(|address| address.port())
    }
}

/// Finds out for all listeners. What our own roles hold is free for them.
pub(crate) fn find(
    choices: &[(ListenKey, Choice)],
    ours: &[SocketAddr],
) -> BTreeMap<ListenKey, Listener> {
    let mut found: BTreeMap<ListenKey, Listener> = BTreeMap::new();
    for (key, choice) in choices {
        let listener = match choice {
            Choice::Off => Listener { address: None, trouble: None, is_any: false },
            Choice::At(address) => {
                let is_ours = ours.iter().any(|held| overlap(*held, *address));
                let trouble = if is_ours { None } else { listen(*key, *address).err() };
                Listener { address: Some(*address), trouble, is_any: false }
            }
            Choice::AnyPort(ip) => {
                let taken: Vec<_> = found.values().filter_map(Listener::port).collect();
                any_port(*key, *ip, &taken)
            }
        };
        found.insert(*key, listener);
    }
    found
}

/// Whether only one of two listeners of a transport can be there: `0.0.0.0` takes all addresses of
/// IPv4, `[::]` those of both families.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: SocketAddr, other: SocketAddr| {
        one.ip() == other.ip() || (one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4()))
    };
    one.port() == other.port() && (covers(one, other) || covers(other, one))
}

fn any_port(key: ListenKey, ip: IpAddr, taken: &[u16]) -> Listener {
    let mut last = Trouble::Refused("no port is free".to_owned());
    for _ in 0..TRIES {
        let port = random_port();
        if taken.contains(&port) {
            continue;
        }
        match listen(key, (ip, port).into()) {
            Ok(()) => {
                let address = Some((ip, port).into());
                return Listener { address, trouble: None, is_any: true };
            }
            Err(trouble) => last = trouble,
        }
    }
    Listener { address: Some((ip, 0).into()), trouble: Some(last), is_any: true }
}

fn random_port() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness the same port is tried each time, and found taken or not.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    FREE.start + u16::from_ne_bytes(bytes) % (FREE.end - FREE.start)
}

fn listen(key: ListenKey, address: SocketAddr) -> Result<(), Trouble> {
    let told = |transport| {
        move |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => Trouble::Taken(transport),
            _ => Trouble::Refused(error.to_string()),
        }
    };
    if key.takes_tcp() {
        TcpListener::bind(address).map_err(told("tcp"))?;
    }
    if key.takes_udp() {
        UdpSocket::bind(address).map_err(told("udp"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_found_for_each_listener() {
        let any = Choice::AnyPort([127, 0, 0, 1].into());
        let keys = [ListenKey::Broker, ListenKey::Http, ListenKey::Pcoip, ListenKey::UdpSource];

        let found = find(&keys.map(|key| (key, any)), &[]);

        let mut ports: Vec<_> = found.values().filter_map(Listener::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 4);
        assert!(ports.iter().all(|port| FREE.contains(port)));
        assert!(found.values().all(|listener| listener.trouble.is_none() && listener.is_any));
    }

    #[test]
    fn a_taken_port_is_told_with_its_transport_unless_it_is_ours() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let holder = TcpListener::bind(tcp).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (tcp, udp_address) = (holder.local_addr().unwrap(), udp.local_addr().unwrap());
        let nowhere = "192.0.2.1:1".parse().unwrap();
        let trouble = |key, address, ours: &[SocketAddr]| {
            find(&[(key, Choice::At(address))], ours)[&key].trouble.clone()
        };

        assert_eq!(trouble(ListenKey::Broker, tcp, &[]), Some(Trouble::Taken("tcp")));
        assert_eq!(trouble(ListenKey::Broker, tcp, &[tcp]), None);
        assert_eq!(trouble(ListenKey::UdpSource, udp_address, &[]), Some(Trouble::Taken("udp")));
        assert!(matches!(trouble(ListenKey::Http, nowhere, &[]), Some(Trouble::Refused(_))));
    }

    #[test]
    fn off_takes_no_port() {
        let found = find(&[(ListenKey::Http, Choice::Off)], &[]);

        let off = Listener { address: None, trouble: None, is_any: false };
        assert_eq!(found[&ListenKey::Http], off);
    }

    #[test]
    fn a_listener_on_all_addresses_overlaps_with_those_on_one() {
        let table = [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "[::1]:1", false),
            ("[::]:1", "[::1]:1", true),
            ("[::]:1", "127.0.0.1:1", true),
            ("[::]:1", "0.0.0.0:1", true),
        ];
        for (one, other, expected) in table {
            let [one, other] = [one, other].map(|text| text.parse().unwrap());

            assert_eq!(overlap(one, other), expected, "{one} {other}");
            assert_eq!(overlap(other, one), expected, "{other} {one}");
        }
    }
}
