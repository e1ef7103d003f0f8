//! TCP connections from a chosen address of this host.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream, ToSocketAddrs, lookup_host};

/// Connects from that address, or from one that the system chooses.
pub(super) async fn connect(
    source: Option<IpAddr>,
    address: impl ToSocketAddrs,
) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(address).await };
    let mut addresses = lookup_host(address).await?;
    let same_family = |address: &SocketAddr| address.is_ipv4() == source.is_ipv4();
    let unreachable = || io::Error::from(io::ErrorKind::AddrNotAvailable);
    let address = addresses.find(same_family).ok_or_else(unreachable)?;
    let socket = match source {
        IpAddr::V4(_) => TcpSocket::new_v4()?,
        IpAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind((source, 0).into())?;
    socket.connect(address).await
}
