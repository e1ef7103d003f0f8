//! The gateway's ports. A second gateway cannot bind them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use anyhow::Context as _;
use cmsg_config::{security_gateway::DATAGRAM_BUFFER, socket::Listen};
use cmsg_proto::gateway::Side;
use cmsg_udp::Socket;
use socket2::{Protocol, Type};
use tokio::net::TcpListener;

use crate::listen;

#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) tcp: TcpListener,
    /// The sockets of each worker for datagrams.
    pub(super) pairs: Vec<Arc<Pair>>,
}

/// The sockets of a worker: that of clients, on the same port as TCP, and that of agents.
pub(super) type Pair = [Socket; 2];

impl Sockets {
    /// Binds the ports for this number of workers.
    pub(super) fn bind(
        config: &cmsg_config::SecurityGateway,
        workers: usize,
    ) -> anyhow::Result<Self> {
        let shared: Vec<_> =
            config.failover.iter().flat_map(|failover| failover.shared.iter().copied()).collect();
        let (tcp, clients) = pair(config.listen, workers, &shared)?;
        let agents = datagrams(config.udp_source, workers, Side::Agent, &shared)
            .with_context(|| format!("binding `UdpSourceAddress` {} (UDP)", config.udp_source))?;
        let pairs = clients.into_iter().zip(agents);
        let pairs = pairs.map(|(clients, agents)| Arc::new([clients, agents])).collect();
        Ok(Self { tcp, pairs })
    }

    /// The address at which clients reach the gateway.
    pub(super) fn address(&self) -> anyhow::Result<SocketAddr> {
        self.bound(Side::Client).context("reading a bound address")
    }

    fn bound(&self, side: Side) -> io::Result<SocketAddr> {
        self.pairs.first().ok_or(io::ErrorKind::NotFound)?[side as usize].address()
    }

    pub(super) fn listens(&self) -> anyhow::Result<Vec<Listen>> {
        let bound = [
            ("pcoip", "tcp", self.tcp.local_addr()),
            ("pcoip", "udp", self.bound(Side::Client)),
            ("udp-source", "udp", self.bound(Side::Agent)),
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
fn pair(
    address: SocketAddr,
    workers: usize,
    shared: &[IpAddr],
) -> anyhow::Result<(TcpListener, Vec<Socket>)> {
    for left in (0..TRIES).rev() {
        let tcp = listen::tcp_at(address, shared.contains(&address.ip().to_canonical()))
            .with_context(|| format!("binding `ListenAddress` {address} (TCP)"))?;
        let port = tcp.local_addr().context("reading a bound address")?.port();
        let same = SocketAddr::new(address.ip(), port);
        match datagrams(same, workers, Side::Client, shared) {
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

/// Binds as many UDP sockets on the same port. The kernel distributes flows among them.
///
/// The first one is bound alone, which fails if any other process has the port, with whatever
/// options. The others can join it because they belong to the same user.
/// A shared address may be one that no interface has yet.
fn datagrams(
    address: SocketAddr,
    workers: usize,
    side: Side,
    shared: &[IpAddr],
) -> io::Result<Vec<Socket>> {
    let open = || -> io::Result<socket2::Socket> {
        let socket = listen::open(address, Type::DGRAM, Protocol::UDP)?;
        if shared.contains(&address.ip().to_canonical()) {
            listen::allow_absent(&socket, address)?;
        }
        // The system may allow less, which is sufficient.
        let _ = socket.set_recv_buffer_size(DATAGRAM_BUFFER);
        let _ = socket.set_send_buffer_size(DATAGRAM_BUFFER);
        Ok(socket)
    };
    // Answers to clients leave from the address that the client knows.
    let has_local = side == Side::Client;
    let first = open()?;
    first.bind(&address.into())?;
    let bound = first.local_addr()?;
    first.set_reuse_port(workers > 1)?;
    let mut sockets = vec![Socket::new(first, has_local)?];
    for _ in 1..workers {
        let socket = open()?;
        socket.set_reuse_port(true)?;
        socket.bind(&bound)?;
        sockets.push(Socket::new(socket, has_local)?);
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests;
