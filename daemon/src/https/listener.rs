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
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    limits::{self, Limits},
    logs::as_error,
};

/// Longest life of a connection; a client that reads too slowly holds a place no longer than that.
const LIFE: Duration = Duration::from_secs(900);

/// Longest wait for the request under way when a connection has to close.
const LAST_REQUEST: Duration = Duration::from_secs(120);

/// The largest head of a request.
const MAX_HEAD: usize = 64 * 1024;

/// How long to wait for descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections beyond the places are answered that there is none, or how the role is: in
/// all and from one address. Who has others cannot keep a load balancer from its answer.
const BESIDE: usize = 64;
const BESIDE_OF_ONE: usize = 16;

/// A listening socket with a limited number of places.
pub(crate) struct Listener {
    socket: TcpListener,
    places: Arc<Semaphore>,
    limit: usize,
    beside: Arc<Limits>,
    crowded: Arc<AtomicU64>,
    /// Whether the log has told that all places are taken.
    told: AtomicBool,
}

/// A client that is connected.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) peer: SocketAddr,
    pub(crate) place: Place,
}

/// What is given back when the connection is dropped: one of the places, or where there was none
/// what lets us say so.
pub(crate) type Place = Result<OwnedSemaphorePermit, limits::Place>;

impl Listener {
    /// Counts in `crowded` for whom there is no place.
    pub(crate) fn new(socket: TcpListener, places: usize, crowded: Arc<AtomicU64>) -> Self {
        Self {
            socket,
            places: Arc::new(Semaphore::new(places)),
            limit: places,
            beside: Limits::new(BESIDE, BESIDE_OF_ONE),
            crowded,
            told: AtomicBool::new(false),
        }
    }

    /// The next client; an error of the system is waited out. While all places are taken a client
    /// gets none of its own, and one for whom there is nothing at all is left at once. The log tells
    /// when the last place is taken.
    pub(crate) async fn accept(&self) -> Accepted {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    let Some(place) = self.place(peer.ip()) else {
                        self.count_crowded();
                        continue;
                    };
                    let _ = stream.set_nodelay(true);
                    return Accepted { stream, peer, place };
                }
                Err(error) if is_shortage(&error) => {
                    warn!(error = as_error(&error), "Cannot accept connections");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    debug!(error = as_error(&error), "A connection was lost");
                }
            }
        }
    }

    fn place(&self, peer: IpAddr) -> Option<Place> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => {
                self.tell_when_full();
                Some(Ok(place))
            }
            Err(_) => self.beside.enter(peer).map(Err),
        }
    }

    /// There was no place for a client.
    pub(crate) fn count_crowded(&self) {
        self.crowded.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells once, and again only after a tenth of the places was free.
    fn tell_when_full(&self) {
        let (free, limit) = (self.places.available_permits(), self.limit);
        if free == 0 && !self.told.swap(true, Ordering::Relaxed) {
            warn!(limit, "All places for clients are taken");
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
        Ok(Err(error)) => debug!(error = as_error(&error), "A connection broke"),
        Err(_) => debug!("A connection was cut off"),
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
    pub(crate) fn chunked(text: String) -> Self {
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
