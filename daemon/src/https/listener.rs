//! Connections of clients: how many at once, for how long, and HTTP on top of them.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use cmsg_proto::shares::{Order, Worth};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::errno::Errno;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::stream;
use crate::{
    limiter::{Files, Limiter, Permit},
    logs::as_error,
};

/// Maximum lifetime of a connection, which bounds how long a slow reader can occupy a permit.
const LIFE: Duration = Duration::from_secs(900);

/// How long a request in progress may take when the connection must close.
const LAST_REQUEST: Duration = Duration::from_secs(120);

/// Maximum size of the head of a request, and of a single read of a body, in bytes. Anyone can
/// occupy this memory on every connection.
const MAX_HEAD: usize = 16 * 1024;

/// How long to wait for file descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for an evicted connection to close.
const SHORT_PAUSE: Duration = Duration::from_millis(5);

/// Number of connections above the limit that are answered with a refusal or the role's health.
/// They too can be evicted for other sources, so that load balancers get their response.
const BESIDE: usize = 64;

/// A listening socket with a limited number of connections. At the limit, connections without a
/// session or a complete request are evicted for new ones.
pub(crate) struct Listener {
    socket: TcpListener,
    places: Arc<Limiter>,
    beside: Arc<Limiter>,
    counters: Arc<Counters>,
    /// Whether the log says that the limit is reached.
    is_logged: AtomicBool,
}

/// Connections that were refused or evicted.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Refused, since no other connection could be evicted.
    pub(crate) crowded: AtomicU64,
    /// Evicted for others.
    pub(crate) evicted: AtomicU64,
}

pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) permit: Permit,
    /// Whether the connection is above the limit, and can only be answered with a refusal.
    pub(crate) is_beside: bool,
}

impl Listener {
    pub(crate) fn new(socket: TcpListener, places: usize, counters: Arc<Counters>) -> Self {
        let places = Files::Clients.fit_configured(places);
        Self {
            socket,
            places: Limiter::new(places, Order::SourceFirst),
            beside: Limiter::new(BESIDE, Order::SourceFirst),
            counters,
            is_logged: AtomicBool::new(false),
        }
    }

    /// The next client. Waits if the system is out of resources. Logs when the limit is reached.
    pub(crate) async fn accept(&self) -> Accepted {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    let Some((permit, is_beside)) = self.permit(peer.ip()) else {
                        self.count_crowded();
                        continue;
                    };
                    stream::prepare(&stream);
                    return Accepted { stream, peer, permit, is_beside };
                }
                // The evicted connection frees a file descriptor.
                Err(error) if is_shortage(&error) && self.places.relieve() => {
                    debug!(
                        error = as_error(&error),
                        "Closed a connection to free resources for a new one"
                    );
                    tokio::time::sleep(SHORT_PAUSE).await;
                }
                Err(error) if is_shortage(&error) => {
                    warn!(error = as_error(&error), "Cannot accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    debug!(
                        error = as_error(&error),
                        "A client disconnected before it was accepted"
                    );
                }
            }
        }
    }

    fn permit(&self, peer: IpAddr) -> Option<(Permit, bool)> {
        match self.places.enter(peer, Worth::Idle) {
            Some(permit) => {
                self.log_when_full();
                Some((permit, false))
            }
            None => self.beside.enter(peer, Worth::Idle).map(|permit| (permit, true)),
        }
    }

    /// Counts a refused connection.
    pub(crate) fn count_crowded(&self) {
        self.counters.crowded.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an evicted connection.
    pub(crate) fn count_evicted(&self) {
        self.counters.evicted.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs once that the limit is reached, and again only after a tenth of it was free.
    fn log_when_full(&self) {
        let (free, limit) = (self.places.free(), self.places.capacity());
        if free == 0 && !self.is_logged.swap(true, Ordering::Relaxed) {
            warn!(limit, "The limit of client connections is reached");
        } else if free > limit / 10 {
            self.is_logged.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether this host is out of resources; otherwise the client has left.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| shortages.contains(&Errno::from_raw(code)))
}

/// Serves HTTP on a connection until the client leaves, [`LIFE`] has passed or the role stops. A
/// request in progress is finished. The timeout of a head includes the idle time before it.
pub(crate) async fn speak<I, A>(
    stream: I,
    head: Duration,
    shutdown: CancellationToken,
    answer: impl Fn(Request<Incoming>) -> A,
) where
    I: AsyncRead + AsyncWrite + Unpin,
    A: Future<Output = Response<Content>>,
{
    let service = service_fn(|request| {
        let answering = answer(request);
        // The connection contains the future of its request also while there is none.
        Box::pin(async { Ok::<_, Infallible>(answering.await) })
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .title_case_headers(true)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = shutdown.cancelled() => None,
        () = tokio::time::sleep(LIFE) => None,
    };
    let ended = match ended {
        Some(ended) => Ok(ended),
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST_REQUEST, connection).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error = as_error(&error), "A connection failed"),
        Err(_) => debug!("A connection was closed with a request in progress"),
    }
}

/// The content of a response. Known clients fail on responses with a `Content-Length`, so those for
/// clients are sent in chunks (RFC 9112, section 7.1).
pub(crate) struct Content {
    bytes: Option<Bytes>,
    chunked: bool,
}

impl Content {
    /// Sent in chunks, without `Content-Length`.
    pub(crate) fn chunked(text: impl Into<Bytes>) -> Self {
        Self { bytes: Some(text.into()), chunked: true }
    }

    /// Sent with `Content-Length`.
    pub(crate) fn whole(text: impl Into<Bytes>) -> Self {
        Self { bytes: Some(text.into()), chunked: false }
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if self.chunked { SizeHint::default() } else { SizeHint::with_exact(left) }
    }
}
