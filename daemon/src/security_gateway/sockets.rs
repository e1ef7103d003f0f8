//! The gateway's ports. None is shared, so a second gateway cannot bind them.

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

#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) tcp: TcpListener,
    /// Datagrams of clients, on the same port as TCP.
    pub(super) clients: Datagrams,
    /// Datagrams of agents.
    pub(super) agents: Datagrams,
}

/// A UDP socket. On a dual-stack socket, IPv4 addresses are mapped to IPv6.
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

/// Binds TCP and UDP on the same port. For port 0, finds one that is free for both.
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

/// Attempts to find a port that is free for both.
const TRIES: usize = 16;

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

impl Datagrams {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = listen::open(address, Type::DGRAM, Protocol::UDP)?;
        // The system may allow less, which is sufficient.
        let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
        let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
        setsockopt(&socket, IpRecvTos, &true)?;
        if address.is_ipv6() {
            setsockopt(&socket, Ipv6RecvTClass, &true)?;
        }
        socket.bind(&address.into())?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, mapped: address.is_ipv6() })
    }

    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.socket.local_addr().context("reading a bound address")
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Receives one datagram, without waiting.
    pub(super) fn receive(&self, buffer: &mut [u8], control: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, || {
            message::receive(self.socket.as_raw_fd(), buffer, control)
        })
    }

    /// Sends one datagram with this type of service, without waiting.
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

/// The local address to which a client connected, if the system would reply from another one. A
/// host may have several addresses, from which the system chooses by its routes.
pub(super) fn seen_at(stream: &TcpStream, client: SocketAddr) -> Option<IpAddr> {
    let at = canonical(stream.local_addr().ok()?).ip();
    (at != usual_source(client).ok()?).then_some(at)
}

#[cfg(test)]
mod tests;
