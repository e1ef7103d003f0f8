//! The control connection of an admitted client: TLS to its agent, and unchanged bytes in both
//! directions.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use cmsg_config::cause;
use cmsg_proto::{
    Hostname,
    gateway::{Admitted, Control, Side, canonical},
};
use rustls::{CertificateError, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client, server};
use tokio_util::sync::CancellationToken;
use tracing::{debug, field, info, warn};
use zeroize::Zeroizing;

use super::state::GatewayState;

/// How to connect to agents.
#[derive(Clone)]
pub(super) struct Agents {
    pub(super) tls: TlsConnector,
    /// The server name that is sent to agents and verified; `None` unless configured.
    pub(super) sni: Option<ServerName<'static>>,
    /// Timeout of the TLS handshake.
    pub(super) handshake: Duration,
}

/// What the relay starts with.
pub(super) struct Start {
    pub(super) admitted: Admitted,
    /// Cancelled when another connection replaced this one or the session ended.
    pub(super) ended: CancellationToken,
    /// The plaintext that the client has sent so far.
    pub(super) first: Zeroizing<Vec<u8>>,
}

/// Timeout of the TCP connection to an agent.
const CONNECT: Duration = Duration::from_secs(10);

/// How long one direction may stay open when the other is closed.
const LINGER: Duration = Duration::from_secs(30);

/// Size in bytes. Control messages are small, and every session has two buffers.
const BUFFER: usize = 4096;

/// Relays a control connection until it ends.
pub(super) async fn run(
    gateway: &Arc<GatewayState>,
    agents: &Agents,
    client: server::TlsStream<TcpStream>,
    start: Start,
) {
    let Start { admitted: Admitted { control, id, agent, hostname }, ended, first } = start;
    let connection = Connection { gateway: Arc::clone(gateway), control };
    let peer = client.get_ref().0.peer_addr().ok().map(|peer| canonical(peer).ip());
    info!(session = %id, "Control connection opened");
    connection.note(Side::Client, &first);
    let relayed = async {
        let mut agent = agents.connect(agent, hostname).await?;
        agent.write_all(&first).await.context("sending the first bytes to the agent")?;
        agent.flush().await.context("sending the first bytes to the agent")?;
        drop(first);
        match connection.relay(client, agent).await {
            Ok(()) => Ok(None),
            Err(Broken::Lost(error)) => Ok(Some(error)),
            Err(Broken::Refused(error)) => {
                Err(error).context("the agent closed the connection at once")
            }
        }
    };
    match ended.run_until_cancelled(relayed).await {
        Some(Ok(None)) => info!(session = %id, "Control connection closed"),
        Some(Ok(Some(error))) => {
            info!(session = %id, error = cause::of_io(&error), "Control connection lost");
        }
        Some(Err(error)) => {
            let (client, error) = (peer.map(field::display), cause::chain(error.as_ref()));
            warn!(session = %id, client, error, "Failed to connect to the agent");
            debug!(session = %id, %agent, "Address of the agent");
        }
        None => info!(session = %id, "Control connection replaced"),
    }
}

/// Why a relay failed.
enum Broken {
    /// The agent never sent anything. For example, an agent that requires a client certificate only
    /// refuses after the TLS 1.3 handshake.
    Refused(io::Error),
    /// One of the two connections failed.
    Lost(io::Error),
}

/// A registered control connection; dropping it reports its end to the gateway.
struct Connection {
    gateway: Arc<GatewayState>,
    control: Control,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.gateway.control_closed(self.control);
    }
}

impl Connection {
    async fn relay(
        &self,
        client: server::TlsStream<TcpStream>,
        agent: client::TlsStream<TcpStream>,
    ) -> Result<(), Broken> {
        let (from_client, to_client) = split(client);
        let (from_agent, to_agent) = split(agent);
        let up = self.pump(Side::Client, from_client, to_agent);
        let down = self.pump(Side::Agent, from_agent, to_client);
        tokio::pin!(up, down);
        // Either end may close cleanly while the other still sends.
        let rest = tokio::select! {
            done = &mut up => { done?; timeout(LINGER, down).await }
            done = &mut down => { done?; timeout(LINGER, up).await }
        };
        rest.unwrap_or(Ok(()))
    }

    async fn pump(
        &self,
        side: Side,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), Broken> {
        let mut buffer = Zeroizing::new([0; BUFFER]);
        let (mut wanted, mut silent) = (true, true);
        loop {
            let read = match from.read(&mut buffer[..]).await {
                Ok(0) => break,
                Ok(read) => read,
                // Many peers close TCP without a TLS close_notify alert.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                Err(error) if silent && side == Side::Agent => return Err(Broken::Refused(error)),
                Err(error) => return Err(Broken::Lost(error)),
            };
            silent = false;
            let bytes = &buffer[..read];
            self.gateway.counters.control(self.control.slot, side, read);
            wanted = wanted && self.gateway.observe(self.control, side, bytes);
            to.write_all(bytes).await.map_err(Broken::Lost)?;
            to.flush().await.map_err(Broken::Lost)?;
        }
        // The other end may be closed too.
        let _ = to.shutdown().await;
        Ok(())
    }

    /// Counts and observes bytes from before the relay.
    fn note(&self, side: Side, bytes: &[u8]) {
        self.gateway.counters.control(self.control.slot, side, bytes.len());
        self.gateway.observe(self.control, side, bytes);
    }
}

impl Agents {
    async fn connect(
        &self,
        agent: SocketAddr,
        hostname: Option<Hostname>,
    ) -> anyhow::Result<client::TlsStream<TcpStream>> {
        let name = self.judged_by(agent, hostname);
        let connecting = timeout(CONNECT, TcpStream::connect(agent)).await;
        let stream = connecting
            .context("connecting to the agent timed out")?
            .context("connecting to the agent")?;
        keep_alive(&stream);
        let handshake = timeout(self.handshake, self.tls.connect(name, stream)).await;
        handshake
            .context("the TLS handshake with the agent timed out")?
            .map_err(without_names)
            .context("TLS handshake with the agent")
    }

    /// The name or address that the agent's certificate must have.
    fn judged_by(&self, agent: SocketAddr, hostname: Option<Hostname>) -> ServerName<'static> {
        let announced = || ServerName::try_from(String::from(hostname?)).ok();
        self.sni.clone().or_else(announced).unwrap_or_else(|| ServerName::from(agent.ip()))
    }
}

/// Removes the names in an agent's certificate, since warnings must not contain addresses of
/// agents.
fn without_names(error: io::Error) -> anyhow::Error {
    let tls = error.get_ref().and_then(|error| error.downcast_ref());
    match tls {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => {
            anyhow!("its certificate is not for its announced name or address, nor for `AgentSni`")
        }
        _ => error.into(),
    }
}

/// Detects a vanished peer after two minutes, and sends small messages immediately. Errors are
/// ignored, since the connection works without these options.
pub(super) fn keep_alive(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(15))
        .with_retries(4);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
    let _ = stream.set_nodelay(true);
}
