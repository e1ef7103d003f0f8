//! Finds out where the roles can listen, by listening there for an instant.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    ops::Range,
};

use cmsg_config::cause;
use socket2::{Domain, Socket, Type};

use super::sockets::{self, Owner, overlap};
use crate::wanted::listen::{Choice, ListenKey};

/// Free ports are looked for here: below the ones that the system lends to clients.
const FREE: Range<u16> = 20_000..32_768;
const TRIES: u32 = 100;

/// Where one listener will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// There; nowhere for off.
    pub(crate) address: Option<SocketAddr>,
    /// Why it cannot be, for each of its transports.
    pub(crate) troubles: Vec<Trouble>,
    /// Whether any port would do, and this one happened to be free.
    pub(crate) is_any: bool,
}

/// Why a port cannot be listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    Taken {
        transport: &'static str,
        /// Who, where that is known.
        owner: Option<Owner>,
    },
    /// This user has no right to it.
    NotPermitted,
    Refused(String),
}

impl Listener {
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
            Choice::Off => Listener { address: None, troubles: Vec::new(), is_any: false },
            Choice::At(address) => {
                let is_ours = ours.iter().any(|held| overlap(*held, *address));
                let troubles = if is_ours { Vec::new() } else { listen(*key, *address) };
                Listener { address: Some(*address), troubles, is_any: false }
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

fn any_port(key: ListenKey, ip: IpAddr, taken: &[u16]) -> Listener {
    let mut last = vec![Trouble::Refused("no port is free".to_owned())];
    for _ in 0..TRIES {
        let port = random_port();
        if taken.contains(&port) {
            continue;
        }
        let troubles = listen(key, (ip, port).into());
        if troubles.is_empty() {
            return Listener { address: Some((ip, port).into()), troubles, is_any: true };
        }
        last = troubles;
    }
    Listener { address: Some((ip, 0).into()), troubles: last, is_any: true }
}

fn random_port() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness the same port is tried each time, and found taken or not.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    FREE.start + u16::from_ne_bytes(bytes) % (FREE.end - FREE.start)
}

fn listen(key: ListenKey, address: SocketAddr) -> Vec<Trouble> {
    let tcp = key.takes_tcp().then(|| ("tcp", bind(address, Type::STREAM)));
    let udp = key.takes_udp().then(|| ("udp", bind(address, Type::DGRAM)));
    let tried = tcp.into_iter().chain(udp);
    let mut troubles: Vec<Trouble> = tried
        .filter_map(|(transport, bound)| Some(trouble(transport, address, &bound.err()?)))
        .collect();
    // What holds for the address or the user holds for both transports.
    troubles.dedup();
    troubles
}

/// Binds as the roles do: the IPv6 wildcard takes IPv4 too, whatever `net.ipv6.bindv6only` says.
fn bind(address: SocketAddr, kind: Type) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    let is_tcp = kind == Type::STREAM;
    socket.set_reuse_address(is_tcp)?;
    socket.bind(&address.into())?;
    if is_tcp { socket.listen(1) } else { Ok(()) }
}

/// Whoever may not listen on a port can still know that somebody else does.
fn trouble(transport: &'static str, address: SocketAddr, error: &io::Error) -> Trouble {
    let holder = || sockets::holder(transport, address);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            Trouble::Taken { transport, owner: holder().and_then(|holder| holder.owner) }
        }
        io::ErrorKind::PermissionDenied => match holder() {
            Some(holder) => Trouble::Taken { transport, owner: holder.owner },
            None => Trouble::NotPermitted,
        },
        _ => Trouble::Refused(cause::of_io(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

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
        assert!(found.values().all(|listener| listener.troubles.is_empty() && listener.is_any));
    }

    #[test]
    fn a_taken_port_is_told_with_its_transport_unless_it_is_ours() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let holder = TcpListener::bind(tcp).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (tcp, udp_address) = (holder.local_addr().unwrap(), udp.local_addr().unwrap());
        let nowhere = "192.0.2.1:1".parse().unwrap();
        let troubles = |key, address, ours: &[SocketAddr]| {
            find(&[(key, Choice::At(address))], ours)[&key].troubles.clone()
        };
        let taken = |troubles: Vec<Trouble>| match &troubles[..] {
            [Trouble::Taken { transport, owner: Some(owner) }] => (*transport, owner.pid),
            other => panic!("{other:?}"),
        };

        let own = std::process::id();
        assert_eq!(taken(troubles(ListenKey::Broker, tcp, &[])), ("tcp", own));
        assert_eq!(troubles(ListenKey::Broker, tcp, &[tcp]), []);
        assert_eq!(taken(troubles(ListenKey::UdpSource, udp_address, &[])), ("udp", own));
        assert!(matches!(troubles(ListenKey::Pcoip, nowhere, &[])[..], [Trouble::Refused(_)]));
    }

    #[test]
    fn a_port_that_is_taken_twice_is_told_twice() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap();
        // Another process may hold the port of the other transport: taken it is all the same.
        let _tcp = TcpListener::bind(address);

        let found = find(&[(ListenKey::Pcoip, Choice::At(address))], &[]);

        let transports = found[&ListenKey::Pcoip].troubles.iter().map(|trouble| match trouble {
            Trouble::Taken { transport, .. } => *transport,
            other => panic!("{other:?}"),
        });
        assert_eq!(transports.collect::<Vec<_>>(), ["tcp", "udp"]);
    }

    #[test]
    fn off_takes_no_port() {
        let found = find(&[(ListenKey::Http, Choice::Off)], &[]);

        let off = Listener { address: None, troubles: Vec::new(), is_any: false };
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
