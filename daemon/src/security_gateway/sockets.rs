//! The gateway's ports. Each is bound without sharing, so that a second owner is refused.

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd as _,
};

use anyhow::Context as _;
use cmsg_config::{security_gateway::DATAGRAM_BUFFER, socket::Listen};
use cmsg_proto::gateway::{Destination, canonical};
use nix::sys::socket::{
    setsockopt,
    sockopt::{IpRecvTos, Ipv6RecvTClass},
};
use socket2::{Protocol, Type};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, UdpSocket},
};

use crate::{listen, own_addresses::usual_source};

pub(super) use message::{Received, control_room};

mod message;

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
        let tcp = listen::tcp(address)
            .with_context(|| format!("binding `ListenAddress` {address} (TCP)"))?;
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

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

impl Datagrams {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = listen::open(address, Type::DGRAM, Protocol::UDP)?;
        // The system may allow less; what it allows will have to do.
        let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
        let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
        setsockopt(&socket, IpRecvTos, &true)?;
        if address.is_ipv6() {
            setsockopt(&socket, Ipv6RecvTClass, &true)?;
        }
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

    /// Receives one datagram that is there.
    pub(super) fn receive(&self, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, || {
            message::receive(self.socket.as_raw_fd(), buffer, control)
        })
    }

    /// Sends one datagram with that type of service, or fails at once.
    pub(super) fn send(
        &self,
        datagram: &[u8],
        Destination { to, from, .. }: Destination,
        tos: u8,
    ) -> io::Result<usize> {
        let to = match to {
            SocketAddr::V4(to) if self.mapped => mapped(to).into(),
            to => to,
        };
        if from.is_none() && tos == 0 {
            return self.socket.try_send_to(datagram, to);
        }
        self.socket.try_io(Interest::WRITABLE, || {
            message::send(self.socket.as_raw_fd(), datagram, to, (from, tos))
        })
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
