//! Connections of peers, on which this gateway receives.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use cmsg_proto::{
    failover::{Frame, GatewayId},
    gateway::canonical,
    shares::{Order, Worth},
};
use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use super::Receive;
use crate::{
    limiter::{Limiter, Permit},
    tls::peers::proved,
};

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// How long a peer may send nothing. It sends a heartbeat four times a second.
const SILENT: Duration = Duration::from_secs(3);

/// How long a frame may take to arrive.
const SLOW: Duration = Duration::from_secs(30);

/// Connections that have not proved a key yet.
const STRANGERS: usize = 64;

/// A longer frame is parsed on a thread of its own.
const LONG: usize = 64 * 1024;

pub(super) struct Acceptor {
    tls: TlsAcceptor,
    pins: BTreeMap<[u8; 32], GatewayId>,
    max_frame: usize,
    receiver: Arc<dyn Receive>,
    strangers: Arc<Limiter>,
    /// The connection of each peer. A new one replaces the former.
    current: Mutex<BTreeMap<GatewayId, CancellationToken>>,
}

impl Acceptor {
    pub(super) fn new(
        tls: ServerConfig,
        pins: BTreeMap<[u8; 32], GatewayId>,
        max_frame: usize,
        receiver: Arc<dyn Receive>,
    ) -> Arc<Self> {
        let strangers = Limiter::new(STRANGERS, Order::SourceFirst);
        let tls = TlsAcceptor::from(Arc::new(tls));
        Arc::new(Self { tls, pins, max_frame, receiver, strangers, current: Mutex::default() })
    }

    /// Accepts connections until the shutdown.
    pub(super) async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            let (stream, from) = match accepted {
                Ok((stream, from)) => (stream, canonical(from)),
                Err(error) => {
                    warn!(%error, "Failed to accept a connection of a peer");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(permit) = self.strangers.enter(from.ip(), Worth::Idle) else { continue };
            let (acceptor, stop) = (Arc::clone(&self), stop.clone());
            tasks.spawn(async move {
                let _ = stop.run_until_cancelled(acceptor.serve(stream, from, permit)).await;
            });
        }
    }

    async fn serve(&self, stream: TcpStream, from: SocketAddr, permit: Permit) {
        let shaken = tokio::select! {
            shaken = self.handshake(stream) => shaken,
            () = permit.evicted() => return,
        };
        let (stream, peer) = match shaken {
            Ok(shaken) => shaken,
            // Anybody can cause this line.
            Err(error) => {
                debug!(%from, error = format!("{error:#}"), "Refused a connection to the peers' port");
                return;
            }
        };
        drop(permit);
        let replaced = CancellationToken::new();
        let former = self.current().insert(peer, replaced.clone());
        former.into_iter().for_each(|former| former.cancel());
        info!(peer = peer.0, %from, "A peer has connected");
        match replaced.run_until_cancelled(self.receive(stream, peer)).await {
            Some(Ok(())) => info!(peer = peer.0, "A peer has disconnected"),
            Some(Err(error)) => {
                let error = format!("{error:#}");
                warn!(peer = peer.0, error, "The connection of a peer was closed");
            }
            None => debug!(peer = peer.0, "A new connection of a peer replaces the former one"),
        }
    }

    async fn handshake(
        &self,
        stream: TcpStream,
    ) -> anyhow::Result<(impl AsyncRead + Unpin + use<>, GatewayId)> {
        SockRef::from(&stream).set_keepalive(true)?;
        let accepting = timeout(HANDSHAKE, self.tls.accept(stream)).await;
        let stream = accepting.context("the TLS handshake timed out")??;
        let pin = proved(stream.get_ref().1.peer_certificates());
        let peer = pin.and_then(|pin| self.pins.get(&pin.0)).context("its key is unknown")?;
        Ok((stream, *peer))
    }

    /// Receives frames until the peer closes the connection.
    async fn receive(
        &self,
        mut stream: impl AsyncRead + Unpin,
        peer: GatewayId,
    ) -> anyhow::Result<()> {
        loop {
            let mut head = [0; 4];
            let read = timeout(SILENT, stream.read_exact(&mut head)).await;
            match read.context("the peer is silent")? {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            let length = u32::from_be_bytes(head);
            if usize::try_from(length).is_ok_and(|length| length > self.max_frame) {
                bail!("a frame of {length} bytes; at most {} are possible", self.max_frame);
            }
            // The buffer grows as bytes arrive.
            let mut bytes = Vec::new();
            let mut frame = (&mut stream).take(length.into());
            let read = timeout(SLOW, frame.read_to_end(&mut bytes)).await;
            if read.context("the peer is too slow")?? < usize::try_from(length)? {
                bail!("the connection ended within a frame");
            }
            let receiver = Arc::clone(&self.receiver);
            let parse = move || Frame::decode(&bytes, |token| receiver.verify(token));
            let frame = match length as usize > LONG {
                true => tokio::task::spawn_blocking(parse).await?,
                false => parse(),
            };
            self.receiver.receive(peer, frame?);
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, BTreeMap<GatewayId, CancellationToken>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
