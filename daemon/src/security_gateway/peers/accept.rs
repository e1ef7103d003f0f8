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
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    task::{JoinError, JoinHandle},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, info, warn};

use super::{ACCEPTED, MAX_FRAME, MAX_SESSION, Receive, STATEMENTS};
use crate::{
    limiter::{Limiter, Permit},
    tls::peers::proved,
};

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(2);

/// Connections that have not proved a key yet.
const STRANGERS: usize = 64;

/// A longer frame is parsed on a thread of its own.
const LONG: usize = 64 * 1024;

/// How often to report that a long frame arrives or is being parsed.
const ARRIVING: Duration = Duration::from_millis(250);

/// What a peer may send.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Maximum length of a frame in bytes.
    pub(super) frame: usize,
    /// Maximum number of statements in a frame.
    pub(super) statements: usize,
    /// How long a peer may send nothing. It sends a heartbeat four times a second.
    pub(super) silent: Duration,
    /// How long a frame may take to arrive.
    pub(super) slow: Duration,
}

impl Limits {
    /// For this number of sessions and ended sessions.
    pub(super) fn new(remembered: usize) -> Self {
        Self {
            frame: MAX_FRAME.min(remembered.saturating_mul(MAX_SESSION)),
            statements: remembered.saturating_mul(STATEMENTS),
            silent: Duration::from_secs(3),
            slow: Duration::from_secs(30),
        }
    }
}

pub(super) struct Acceptor {
    tls: TlsAcceptor,
    pins: BTreeMap<[u8; 32], GatewayId>,
    limits: Limits,
    receiver: Arc<dyn Receive>,
    strangers: Arc<Limiter>,
    /// The connection of each peer. A new one replaces the former.
    current: Mutex<BTreeMap<GatewayId, CancellationToken>>,
    /// Held while frames of a peer are received and parsed.
    turns: BTreeMap<GatewayId, Arc<AsyncMutex<()>>>,
}

impl Acceptor {
    pub(super) fn new(
        tls: ServerConfig,
        pins: BTreeMap<[u8; 32], GatewayId>,
        limits: Limits,
        receiver: Arc<dyn Receive>,
    ) -> Arc<Self> {
        let strangers = Limiter::new(STRANGERS, Order::SourceFirst);
        let tls = TlsAcceptor::from(Arc::new(tls));
        let turns = pins.values().map(|peer| (*peer, Arc::default())).collect();
        let current = Mutex::default();
        Arc::new(Self { tls, pins, limits, receiver, strangers, current, turns })
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
        let accepting = async {
            let mut stream = self.tls.accept(stream).await?;
            let pin = proved(stream.get_ref().1.peer_certificates());
            let peer = pin.and_then(|pin| self.pins.get(&pin.0)).context("its key is unknown")?;
            stream.write_all(&[ACCEPTED]).await?;
            stream.flush().await?;
            Ok((stream, *peer))
        };
        timeout(HANDSHAKE, accepting).await.ok().context("the TLS handshake timed out")?
    }

    /// Receives frames until the peer closes the connection.
    pub(super) async fn receive(
        &self,
        mut stream: impl AsyncRead + Unpin,
        peer: GatewayId,
    ) -> anyhow::Result<()> {
        let Limits { frame: max, statements, silent, slow } = self.limits;
        // A peer that connects again and again does not occupy more than one thread: a frame of its
        // former connection may still be parsed.
        let turn = self.turns.get(&peer).context("its key is unknown")?;
        let turn = Arc::new(Arc::clone(turn).lock_owned().await);
        loop {
            let mut head = [0; 4];
            let read = timeout(silent, stream.read_exact(&mut head)).await;
            match read.ok().context("the peer is silent")? {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            let length = u32::from_be_bytes(head);
            if usize::try_from(length).is_ok_and(|length| length > max) {
                bail!("a frame of {length} bytes; at most {max} are possible");
            }
            let read = timeout(slow, self.read(&mut stream, peer, length)).await;
            let bytes = read.ok().context("the peer is too slow")??;
            let (receiver, turn) = (Arc::clone(&self.receiver), Arc::clone(&turn));
            let parse = move || {
                let _turn: Arc<OwnedMutexGuard<()>> = turn;
                Frame::decode(&bytes, statements, |token| receiver.verify(token))
            };
            let frame = match length as usize > LONG {
                true => self.wait(peer, tokio::task::spawn_blocking(parse)).await?,
                false => parse(),
            };
            self.receiver.receive(peer, frame?);
        }
    }

    /// Reads a frame. The peer's heartbeats wait behind it.
    async fn read(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        peer: GatewayId,
        length: u32,
    ) -> anyhow::Result<Vec<u8>> {
        // The buffer grows as bytes arrive.
        let mut bytes = Vec::new();
        let mut frame = stream.take(length.into());
        let mut reported = Instant::now();
        while frame.read_buf(&mut bytes).await? > 0 {
            if reported.elapsed() >= ARRIVING {
                reported = Instant::now();
                self.receiver.arriving(peer);
            }
        }
        if bytes.len() < usize::try_from(length)? {
            bail!("the connection ended within a frame");
        }
        Ok(bytes)
    }

    /// Waits until a frame has been parsed. What the peer sends during that time is not read.
    async fn wait<T>(&self, peer: GatewayId, mut parsing: JoinHandle<T>) -> Result<T, JoinError> {
        loop {
            match timeout(ARRIVING, &mut parsing).await {
                Ok(parsed) => return parsed,
                Err(_) => self.receiver.arriving(peer),
            }
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, BTreeMap<GatewayId, CancellationToken>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
