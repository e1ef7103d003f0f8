//! Who holds a port, as far as /proc tells it.

use std::net::SocketAddr;

use procfs::{
    net::{self, TcpState},
    process::{self, FDTarget},
};

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) pid: u32,
}

/// A socket that stands in the way of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Its process, where this user may know.
    pub(crate) owner: Option<Owner>,
}

/// Finds who holds an address of a transport: `tcp` or `udp`.
pub(crate) fn holder(transport: &str, address: SocketAddr) -> Option<Holder> {
    let sockets = if transport == "tcp" { listening() } else { datagrams() };
    let held = sockets.into_iter().filter(|(local, _)| overlap(*local, address));
    let inodes: Vec<u64> = held.map(|(_, inode)| inode).collect();
    if inodes.is_empty() { None } else { Some(Holder { owner: owner(&inodes) }) }
}

/// The sockets that listen for TCP, with their inodes.
fn listening() -> Vec<(SocketAddr, u64)> {
    let entries = [net::tcp(), net::tcp6()].into_iter().flatten().flatten();
    let listens = entries.filter(|entry| entry.state == TcpState::Listen);
    listens.map(|entry| (entry.local_address, entry.inode)).collect()
}

/// The sockets of UDP, with their inodes.
fn datagrams() -> Vec<(SocketAddr, u64)> {
    let entries = [net::udp(), net::udp6()].into_iter().flatten().flatten();
    entries.map(|entry| (entry.local_address, entry.inode)).collect()
}

/// The process that has one of these sockets open.
fn owner(inodes: &[u64]) -> Option<Owner> {
    process::all_processes().ok()?.flatten().find_map(|process| {
        let mut open = process.fd().ok()?.flatten();
        let is_one = |target| matches!(target, FDTarget::Socket(inode) if inodes.contains(&inode));
        if !open.any(|descriptor| is_one(descriptor.target)) {
            return None;
        }
        let name = process.stat().map(|stat| stat.comm).unwrap_or_default();
        Some(Owner { name, pid: process.pid().unsigned_abs() })
    })
}

/// Whether only one of two listeners of a transport can be there: `0.0.0.0` takes all addresses of
/// IPv4, `[::]` those of both families.
pub(crate) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: SocketAddr, other: SocketAddr| {
        one.ip() == other.ip() || (one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4()))
    };
    one.port() == other.port() && (covers(one, other) || covers(other, one))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    #[test]
    fn the_holder_of_a_port_is_this_process() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        let table = [("tcp", tcp.local_addr().unwrap()), ("udp", udp.local_addr().unwrap())];
        for (transport, address) in table {
            let holder = holder(transport, address).unwrap();

            assert_eq!(holder.owner.unwrap().pid, std::process::id(), "{transport}");
        }
        assert_eq!(holder("udp", "127.0.0.1:1".parse().unwrap()), None);
    }

    #[test]
    fn a_connection_holds_no_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();

        assert_eq!(holder("tcp", client.local_addr().unwrap()), None);
    }
}
