//! Who holds a port, as far as /proc tells it.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The state of a TCP socket that listens.
const LISTENING: &str = "0A";

/// A process that holds a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Its name.
    pub(crate) name: String,
    /// Its number.
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
    let tables = ["", "6"].map(|family| format!("/proc/net/{transport}{family}"));
    let inodes: Vec<u64> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| inodes(&table, transport == "tcp", address))
        .collect();
    if inodes.is_empty() { None } else { Some(Holder { owner: owner(&inodes) }) }
}

/// The sockets of a table of /proc/net that hold the address.
fn inodes(table: &str, listening_only: bool, wanted: SocketAddr) -> Vec<u64> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let &[_, local, _, state, _, _, _, _, _, inode, ..] = &fields[..] else { return None };
        let counts = !listening_only || state == LISTENING;
        (counts && overlap(local_address(local)?, wanted)).then(|| inode.parse().ok())?
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// `0100007F:1F90`: words in the machine's order, then the port.
fn local_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |index: usize| {
        let digits = address.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?).into())
}

/// The process that has one of these sockets open.
fn owner(inodes: &[u64]) -> Option<Owner> {
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let mut open = fs::read_dir(entry.path().join("fd")).ok()?.flatten();
        let holds = open.any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|link| links.iter().any(|wanted| link.as_os_str() == wanted.as_str()))
        });
        if !holds {
            return None;
        }
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        Some(Owner { name: name.trim_end().to_owned(), pid })
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
    use std::net::{TcpListener, UdpSocket};

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
    #[cfg(target_endian = "little")]
    fn a_table_is_read_with_its_states_and_families() {
        const V4: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when \
                          retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1\n\
             1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12 1\n\
             2: 0100007F:01BB 0200007F:1000 01 00000000:00000000 00:00000000 00000000 0 0 13 1\n\
             garbage\n";
        const V6: &str = "  sl  local_address remote_address st\n\
             0: 00000000000000000000000001000000:1F90 0:0 0A 0:0 0:0 0 0 0 21 1\n";
        let table = [
            (V4, true, "127.0.0.1:8080", vec![11]),
            (V4, true, "192.0.2.1:443", vec![12]),
            (V4, true, "[::]:443", vec![12]),
            (V4, false, "127.0.0.1:443", vec![12, 13]),
            (V4, true, "127.0.0.2:8080", vec![]),
            (V6, true, "[::1]:8080", vec![21]),
            (V6, true, "127.0.0.1:8080", vec![]),
        ];
        for (text, listening_only, address, expected) in table {
            let found = inodes(text, listening_only, address.parse().unwrap());

            assert_eq!(found, expected, "{address} {listening_only}");
        }
    }
}
