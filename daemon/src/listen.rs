//! Listening sockets. A socket on the IPv6 wildcard address accepts IPv4 clients too, regardless of
//! `net.ipv6.bindv6only`.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Maximum number of connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Opens a TCP listener.
///
/// # Errors
///
/// The error of the system call, for example that the address is in use.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    tcp_at(address, false)
}

/// The same. The address may be one that no interface has yet.
pub(crate) fn tcp_at(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    if is_shared {
        allow_absent(&socket, address)?;
    }
    // On Linux, this allows binding a port with connections in TIME_WAIT, but not one in use.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Allows a socket to be bound to an address that no interface has yet: one that moves between
/// hosts.
///
/// # Errors
///
/// The error of the system call.
pub(crate) fn allow_absent(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true),
        SocketAddr::V6(_) => socket.set_freebind_v6(true),
    }
}

/// Opens a socket without binding it.
///
/// # Errors
///
/// The error of the system call.
pub(crate) fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn only_a_shared_address_may_be_absent() {
        for address in ["192.0.2.77:0", "[2001:db8::77]:0"] {
            let address = address.parse().unwrap();
            let absent = tcp(address).unwrap_err();
            assert_eq!(absent.kind(), io::ErrorKind::AddrNotAvailable);

            assert!(tcp_at(address, true).is_ok());
        }
    }

    #[tokio::test]
    async fn a_listener_on_the_ipv6_wildcard_accepts_both_families() {
        let listener = tcp("[::]:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();

        for host in ["127.0.0.1", "::1"] {
            let connected = TcpStream::connect((host, port));
            let (client, accepted) = tokio::join!(connected, listener.accept());
            let (client, (_, peer)) = (client.unwrap(), accepted.unwrap());
            assert_eq!(peer.ip().to_canonical(), client.local_addr().unwrap().ip());
        }
        let taken = tcp(SocketAddr::new("::".parse().unwrap(), port)).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }
}
