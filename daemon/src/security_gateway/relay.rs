//! The control connection of an admitted client: TLS to its agent, and unchanged bytes in both
//! directions.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use cmsg_config::cause;
use cmsg_proto::{
    Hostname,
    gateway::{Admitted, Control, Side, canonical},
};
use rustls::{CertificateError, ClientConfig, pki_types::ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::TcpStream,
    time::{Sleep, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, field, info, warn};
use zeroize::Zeroizing;

use super::state::GatewayState;
use crate::tls::socket::{ClientSocket, Received, ServerSocket, Session, TlsSocket};

/// How to connect to agents.
#[derive(Clone)]
pub(super) struct Agents {
    pub(super) tls: Arc<ClientConfig>,
    /// The server name that is sent to agents and verified; `None` unless configured.
    pub(super) sni: Option<ServerName<'static>>,
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

/// Relays a control connection until it ends.
pub(super) async fn run(
    gateway: &Arc<GatewayState>,
    agents: &Agents,
    mut client: ServerSocket,
    start: Start,
) {
    let Start { admitted: Admitted { control, id, agent, hostname }, ended, first } = start;
    let connection = Connection { gateway: Arc::clone(gateway), control };
    let peer = client.stream().peer_addr().ok().map(|peer| canonical(peer).ip());
    info!(session = %id, "Control connection opened");
    connection.note(Side::Client, &first, true);
    let relayed = async {
        // Boxed, since a session would otherwise keep the room for as long as it lasts.
        let handshake = gateway.timeouts().tls_handshake;
        let mut agent = Box::pin(agents.connect(agent, hostname, handshake)).await?;
        agent.write_all(&first).await.context("sending the first bytes to the agent")?;
        drop(first);
        match connection.relay(&mut client, &mut agent).await {
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
    /// Relays until both ends have closed, or one of them [`LINGER`] ago.
    async fn relay(
        &self,
        client: &mut ServerSocket,
        agent: &mut ClientSocket,
    ) -> Result<(), Broken> {
        let (mut up, mut down) = (Way::new(Side::Client), Way::new(Side::Agent));
        let mut linger: Option<Pin<Box<Sleep>>> = None;
        poll_fn(|context| {
            // Alternate, so that neither direction delays the other.
            loop {
                let went_up = up.step(self, client, agent, context)?;
                let went_down = down.step(self, agent, client, context)?;
                if went_up.is_pending() && went_down.is_pending() {
                    break;
                }
            }
            // TLS itself may have something to send. If that fails, so does the direction.
            let _ = (client.poll_flush(context), agent.poll_flush(context));
            match (up.stage, down.stage) {
                (Stage::Closed, Stage::Closed) => Poll::Ready(Ok(())),
                (Stage::Closed, _) | (_, Stage::Closed) => {
                    let linger = linger.get_or_insert_with(|| Box::pin(sleep(LINGER)));
                    linger.as_mut().poll(context).map(Ok)
                }
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Counts bytes, and observes them if more are wanted. Returns whether more are.
    fn note(&self, side: Side, bytes: &[u8], wanted: bool) -> bool {
        self.gateway.counters.control(self.control.slot, side, bytes.len());
        wanted && self.gateway.observe(self.control, side, bytes)
    }
}

/// One direction. Nothing is read while the other end does not take what was read before.
struct Way {
    /// The side that sends.
    side: Side,
    stage: Stage,
    /// Whether nothing was read yet.
    is_silent: bool,
    /// Whether the gateway wants to observe more bytes.
    is_observed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The sender has closed; the receiver is notified.
    Closing,
    Closed,
}

impl Way {
    fn new(side: Side) -> Self {
        Self { side, stage: Stage::Open, is_silent: true, is_observed: true }
    }

    /// Relays the result of one read. Pending if there is nothing to do.
    fn step<F: Session, T: Session>(
        &mut self,
        connection: &Connection,
        from: &mut TlsSocket<F>,
        to: &mut TlsSocket<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        match self.stage {
            Stage::Open => {
                ready!(to.poll_flush(context)).map_err(Broken::Lost)?;
                let mut sent = Ok(());
                let received = ready!(from.poll_receive(context, |context, plain| {
                    self.is_silent = false;
                    self.is_observed = connection.note(self.side, plain, self.is_observed);
                    sent = to.send(context, plain);
                }));
                sent.map_err(Broken::Lost)?;
                match received {
                    Ok(Received::Some) => {}
                    Ok(Received::Closed) => self.stage = Stage::Closing,
                    Err(error) if self.is_silent && self.side == Side::Agent => {
                        return Poll::Ready(Err(Broken::Refused(error)));
                    }
                    Err(error) => return Poll::Ready(Err(Broken::Lost(error))),
                }
            }
            Stage::Closing => {
                // The receiver may be closed too.
                let _ = ready!(to.poll_close(context));
                self.stage = Stage::Closed;
            }
            Stage::Closed => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }
}

impl Agents {
    async fn connect(
        &self,
        agent: SocketAddr,
        hostname: Option<Hostname>,
        handshake: Duration,
    ) -> anyhow::Result<ClientSocket> {
        let name = self.judged_by(agent, hostname);
        let connecting = timeout(CONNECT, TcpStream::connect(agent)).await;
        let stream = connecting
            .context("connecting to the agent timed out")?
            .context("connecting to the agent")?;
        keep_alive(&stream);
        let connecting = ClientSocket::connect(stream, Arc::clone(&self.tls), name);
        let connecting = timeout(handshake, connecting).await;
        connecting
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
