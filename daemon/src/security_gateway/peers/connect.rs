//! The connection to one peer, on which this gateway sends.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use cmsg_config::values::{HostPort, Pin};
use cmsg_proto::failover::GatewayId;
use rustls::{ClientConfig, pki_types::ServerName};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tracing::{debug, info, warn};

use super::{ACCEPTED, Connected, Identity};

/// How long a connection attempt may take, with its TLS handshake.
const CONNECT: Duration = Duration::from_secs(2);

/// How long to wait after a failed attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// How long the peer may take to acknowledge or accept bytes. It is considered lost before that.
const STALLED: Duration = Duration::from_secs(3);

/// Bytes that a peer must accept in that time. A long frame may take longer.
const CHUNK: usize = 16 * 1024;

/// Maximum number of bytes that wait for a slow peer: it requests a snapshot later.
const MAX_QUEUED: usize = 64 * 1024 * 1024;

/// The frames for a peer that is connected.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    is_open: bool,
    frames: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), came: Notify::new() })
    }

    /// Queues a frame. It is dropped if the peer is not connected, or too slow: the next frame
    /// shows the peer that it missed one.
    pub(super) fn push(&self, frame: &Arc<[u8]>) {
        let mut waiting = self.waiting();
        let is_full = waiting.bytes > 0 && waiting.bytes + frame.len() > MAX_QUEUED;
        if waiting.is_open && !is_full {
            waiting.bytes += frame.len();
            waiting.frames.push_back(Arc::clone(frame));
            self.came.notify_one();
        }
    }

    pub(super) async fn next(&self) -> Arc<[u8]> {
        loop {
            if let Some(frame) = self.take() {
                return frame;
            }
            self.came.notified().await;
        }
    }

    fn take(&self) -> Option<Arc<[u8]>> {
        let mut waiting = self.waiting();
        let frame = waiting.frames.pop_front()?;
        waiting.bytes -= frame.len();
        Some(frame)
    }

    pub(super) fn set_open(&self, is_open: bool) {
        *self.waiting() = Waiting { is_open, ..Waiting::default() };
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the connection to a peer.
pub(super) struct Connector {
    id: GatewayId,
    address: HostPort,
    tls: Arc<ClientConfig>,
    queue: Arc<Queue>,
    connected: Arc<Connected>,
    /// [`STALLED`], except in tests.
    pub(super) stalled: Duration,
}

impl Connector {
    pub(super) fn new(
        (id, address): (GatewayId, HostPort),
        identity: &Identity,
        pin: Pin,
        queue: &Arc<Queue>,
        connected: Arc<Connected>,
    ) -> anyhow::Result<Self> {
        let tls = Arc::new(identity.client(pin).context("preparing TLS for peers")?);
        Ok(Self { id, address, tls, queue: Arc::clone(queue), connected, stalled: STALLED })
    }

    /// Connects, sends, and connects again.
    pub(super) async fn keep_connected(self) {
        let (peer, address) = (self.id.0, &self.address);
        let mut is_failing = false;
        loop {
            match timeout(CONNECT, self.connect()).await.unwrap_or_else(|_| Err(timed_out())) {
                Ok(stream) => {
                    info!(peer, %address, "Connected to a peer");
                    is_failing = false;
                    self.queue.set_open(true);
                    self.connected.set(self.id, true);
                    let error = self.send(stream).await;
                    self.connected.set(self.id, false);
                    self.queue.set_open(false);
                    info!(peer, %address, %error, "Lost the connection to a peer");
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(peer, %address, error, "Cannot connect to a peer");
                    } else {
                        debug!(peer, %address, error, "Cannot connect to a peer");
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Connects, and waits until the peer has accepted the key of this gateway.
    pub(super) async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        let host = self.address.host.as_str();
        let stream = TcpStream::connect((host, self.address.port)).await.context("connecting")?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_user_timeout(Some(STALLED))?;
        let name = ServerName::try_from(host.to_owned()).context("using its name")?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let mut stream = connector.connect(name, stream).await.context("TLS handshake")?;
        let answer = stream.read_u8().await;
        let answer = answer.context("the peer has not accepted the key of this gateway")?;
        ensure!(answer == ACCEPTED, "the peer sent an unexpected byte");
        Ok(stream)
    }

    /// Sends what is queued until the connection breaks. Returns why it broke.
    pub(super) async fn send(&self, stream: impl AsyncRead + AsyncWrite) -> io::Error {
        let (mut read, mut write) = tokio::io::split(stream);
        let closed = async {
            // The peer sends nothing else.
            match read.read_u8().await {
                Ok(_) => io::Error::other("the peer sent unexpected bytes"),
                Err(error) => error,
            }
        };
        let sending = async {
            loop {
                let frame = self.queue.next().await;
                for chunk in frame.chunks(CHUNK) {
                    let written = async {
                        write.write_all(chunk).await?;
                        write.flush().await
                    };
                    match timeout(self.stalled, written).await {
                        Ok(Ok(())) => self.connected.count(self.id, chunk.len()),
                        Ok(Err(error)) => return error,
                        Err(_) => return io::ErrorKind::TimedOut.into(),
                    }
                }
            }
        };
        tokio::select! {
            error = closed => error,
            error = sending => error,
        }
    }
}

fn timed_out() -> anyhow::Error {
    anyhow::anyhow!("no answer within {} s", CONNECT.as_secs())
}
