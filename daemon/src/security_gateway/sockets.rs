//! The gateway's ports. Each is bound without sharing, so that a second owner is refused.

use std::{
    io::{self, IoSlice},
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd as _, RawFd},
};

use anyhow::Context as _;
use cmsg_config::{security_gateway::DATAGRAM_BUFFER, socket::Listen};
use cmsg_proto::gateway::{Destination, canonical};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{ControlMessage, MsgFlags, SockaddrIn, SockaddrIn6, sendmsg},
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::own_addresses::usual_source;

/// All bound sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) tcp: TcpListener,
    /// Datagrams of clients, at the same port as TCP.
    pub(super) clients: Datagrams,
    /// Datagrams of agents.
    pub(super) agents: Datagrams,
}

/// A UDP socket. Where it is one for both families, addresses of IPv4 are mapped on the way.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: UdpSocket,
    mapped: bool,
}

impl Sockets {
    pub(super) fn bind(config: &cmsg_config::SecurityGateway) -> anyhow::Result<Self> {
        let (tcp, clients) = pair(config.listen)?;
        let agents = Datagrams::bind(config.udp_source)
            .with_context(|| format!("binding `UdpSourceAddress` {} (UDP)", config.udp_source))?;
        Ok(Self { tcp, clients, agents })
    }

    pub(super) fn listens(&self) -> anyhow::Result<Vec<Listen>> {
        let bound = [
            ("pcoip", "tcp", self.tcp.local_addr()),
            ("pcoip", "udp", self.clients.socket.local_addr()),
            ("udp-source", "udp", self.agents.socket.local_addr()),
        ];
        bound
            .into_iter()
            .map(|(key, transport, address)| {
                let address = address.context("reading a bound address")?;
                Ok(Listen { key: key.to_owned(), transport: transport.to_owned(), address })
            })
            .collect()
    }
}

/// TCP and UDP at the same port. Where any will do, one is sought that is free for both.
fn pair(address: SocketAddr) -> anyhow::Result<(TcpListener, Datagrams)> {
    for left in (0..TRIES).rev() {
        let tcp =
            listen(address).with_context(|| format!("binding `ListenAddress` {address} (TCP)"))?;
        let port = tcp.local_addr().context("reading a bound address")?.port();
        let same = SocketAddr::new(address.ip(), port);
        match Datagrams::bind(same) {
            Err(error) if address.port() == 0 && in_use(&error) && left > 0 => {}
            bound => {
                let clients =
                    bound.with_context(|| format!("binding `ListenAddress` {same} (UDP)"))?;
                return Ok((tcp, clients));
            }
        }
    }
    anyhow::bail!("no port is free for both TCP and UDP at {}", address.ip());
}

/// Enough to find a port of which only the TCP half is free.
const TRIES: usize = 16;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // On Linux this lets a port be bound while old connections linger, not while it is listened on.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Datagrams {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = open(address, Type::DGRAM, Protocol::UDP)?;
        // The system may allow less; what it allows will have to do.
        let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
        let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
        socket.bind(&address.into())?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, mapped: address.is_ipv6() })
    }

    /// Where it is bound.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr().context("reading a bound address")
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Receives one datagram that is there; its source is canonical.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (length, from) = self.socket.try_recv_from(buffer)?;
        Ok((length, canonical(from)))
    }

    /// Sends one datagram, or fails at once.
    pub(super) fn send(&self, datagram: &[u8], destination: Destination) -> io::Result<usize> {
        let to = match destination.to {
            SocketAddr::V4(to) if self.mapped => mapped(to).into(),
            to => to,
        };
        match destination.from {
            None => self.socket.try_send_to(datagram, to),
            Some(from) => self.socket.try_io(Interest::WRITABLE, || {
                send_from(self.socket.as_raw_fd(), datagram, to, from).map_err(io::Error::from)
            }),
        }
    }
}

/// Sends one datagram that leaves from a certain one of the host's addresses.
fn send_from(socket: RawFd, datagram: &[u8], to: SocketAddr, from: IpAddr) -> nix::Result<usize> {
    let datagram = [IoSlice::new(datagram)];
    let flags = MsgFlags::MSG_DONTWAIT;
    match to {
        SocketAddr::V4(to) => {
            let IpAddr::V4(from) = from else { return Err(Errno::EAFNOSUPPORT) };
            let any = libc::in_addr { s_addr: 0 };
            let from = libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: any };
            let info = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(socket, &datagram, &info, flags, Some(&SockaddrIn::from(to)))
        }
        SocketAddr::V6(to) => {
            let from = match from {
                IpAddr::V4(from) => from.to_ipv6_mapped(),
                IpAddr::V6(from) => from,
            };
            let from = libc::in6_addr { s6_addr: from.octets() };
            let info = libc::in6_pktinfo { ipi6_addr: from, ipi6_ifindex: 0 };
            let info = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmsg(socket, &datagram, &info, flags, Some(&SockaddrIn6::from(to)))
        }
    }
}

fn mapped(address: SocketAddrV4) -> SocketAddrV6 {
    SocketAddrV6::new(address.ip().to_ipv6_mapped(), address.port(), 0, 0)
}

/// The own address that a client connected to, where the system would answer it from another one:
/// a host may have several, of which it takes one by its routes.
pub(super) fn seen_at(stream: &TcpStream, client: SocketAddr) -> Option<IpAddr> {
    let at = canonical(stream.local_addr().ok()?).ip();
    (at != usual_source(client).ok()?).then_some(at)
}

#[cfg(test)]
mod tests;
