//! Connections of clients: how many at once, how long each, and HTTP on top of them.

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

/// Longest life of a connection; a client that reads too slowly holds a place no longer than that.
const LIFE: Duration = Duration::from_secs(900);

/// Longest wait for the request under way when a connection has to close.
const LAST_REQUEST: Duration = Duration::from_secs(120);

/// The largest head of a request, and what is read at once of a body. Everybody can have as much kept
/// on every connection.
const MAX_HEAD: usize = 16 * 1024;

/// How long to wait for descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a connection that gives way to another one.
const SHORT_PAUSE: Duration = Duration::from_millis(5);

/// How many connections beyond the places are answered that there is none, or how the role is. They
/// too give way to those of other sources, so that a load balancer has its answer.
const BESIDE: usize = 64;

/// A listening socket with a limited number of places. While all are taken, connections without a
/// session or a whole request give way to newcomers.
pub(crate) struct Listener {
    socket: TcpListener,
    places: Arc<Limiter>,
    beside: Arc<Limiter>,
    counters: Arc<Counters>,
    /// Whether the log has told that all places are taken.
    told: AtomicBool,
}

/// Connections for which there was no place.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Nobody had to give way to them.
    pub(crate) crowded: AtomicU64,
    /// They gave way to others.
    pub(crate) evicted: AtomicU64,
}

/// A client that is connected.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) permit: Permit,
    /// Whether it has none of the places, and can only be told so.
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
            told: AtomicBool::new(false),
        }
    }

    /// The next client; an error of the system is waited out. The log tells when the last place is
    /// taken.
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
                // Whoever has to give way has a descriptor.
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
                self.tell_when_full();
                Some((permit, false))
            }
            None => self.beside.enter(peer, Worth::Idle).map(|permit| (permit, true)),
        }
    }

    /// There was no place for a client.
    pub(crate) fn count_crowded(&self) {
        self.counters.crowded.fetch_add(1, Ordering::Relaxed);
    }

    /// A client had to give way.
    pub(crate) fn count_evicted(&self) {
        self.counters.evicted.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells once, and again only after a tenth of the places was free.
    fn tell_when_full(&self) {
        let (free, limit) = (self.places.free(), self.places.capacity());
        if free == 0 && !self.told.swap(true, Ordering::Relaxed) {
            warn!(limit, "The limit of client connections is reached");
        } else if free > limit / 10 {
            self.told.store(false, Ordering::Relaxed);
        }
    }
}

/// Whether this end lacks something; otherwise the client is gone.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error.raw_os_error().is_some_and(|code| shortages.contains(&Errno::from_raw(code)))
}

/// Speaks HTTP on a connection until the client leaves, it has lived long enough or the shutdown
/// comes; a request under way is finished. The wait for a head includes the idle time before it.
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
        async { Ok::<_, Infallible>(answering.await) }
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

/// The content of an answer. Known clients fail on answers with a length, so what they get has
/// none and is sent in chunks.
pub(crate) struct Content {
    bytes: Option<Bytes>,
    chunked: bool,
}

impl Content {
    /// Sent in chunks.
    pub(crate) fn chunked(text: impl Into<Bytes>) -> Self {
        Self { bytes: Some(text.into()), chunked: true }
    }

    /// Sent with its length.
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
