//! Sockets of listeners. One of the IPv6 wildcard takes IPv4 clients too, whatever
//! `net.ipv6.bindv6only` says.

use std::{io, net::SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// Listens for TCP connections.
///
/// # Errors
///
/// What the system says, such as that the address is in use.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // On Linux this lets a port be bound while old connections linger, not while it is listened on.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A socket that is not bound yet.
///
/// # Errors
///
/// What the system says.
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
    async fn a_listener_of_the_ipv6_wildcard_takes_both_families() {
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
