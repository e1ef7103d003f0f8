//! The HTTP client for broker, agents and gateways: no proxy, no redirects, a deadline for the
//! whole exchange, and a response of bounded size.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use cmsg_config::values::Pin;
use cmsg_proto::xml;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use rustls::ClientConfig;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::{
    https::bodies::{Buffer, OverBudget},
    reload::Files,
    tls::{self, LastRefused, Refusal, Trust},
};

mod connect;

pub(super) use connect::{Address, Admit};
use connect::{Content, Dialer, Opened, Sender};

/// Shorter than the idle timeout of any known server, so that a connection is not reused while the
/// server closes it.
const IDLE: Duration = Duration::from_secs(4);

/// The documented type, in the spelling that all known parsers accept.
pub(super) const CONTENT_TYPE: &str = "application/xml; charset=UTF-8";

/// The response of an upstream peer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The address that answered; `None` over a unix socket.
    pub(super) from: Option<SocketAddr>,
    pub(super) headers: HeaderMap,
    pub(super) body: Buffer,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("timed out")]
    TimedOut,
    #[error(transparent)]
    Failed(Box<dyn Error + Send + Sync>),
    #[error("the response is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("the response cannot be buffered")]
    OverBudget(#[from] OverBudget),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<http::Error> for Failure {
    fn from(error: http::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Failure {
    /// The same failure, with the refused certificate instead of the verifier's text.
    pub(super) fn explained(self, refused: &LastRefused) -> Self {
        match (&self, self.refusal(refused)) {
            (Self::Failed(_), Some(refusal)) => Self::Failed(Presented(refusal).into()),
            _ => self,
        }
    }

    /// The refused certificate, if that is the cause.
    pub(super) fn refusal(&self, refused: &LastRefused) -> Option<Refusal> {
        let Self::Failed(error) = self else { return None };
        is_about_certificate(&**error).then(|| refused.get()).flatten()
    }
}

/// A refused certificate as an error.
#[derive(Debug, thiserror::Error)]
#[error("it {0}")]
struct Presented(Refusal);

/// Whether the verifier caused the error. An I/O error hides its inner error from `source`.
fn is_about_certificate(error: &(dyn Error + 'static)) -> bool {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return matches!(error, rustls::Error::InvalidCertificate(_));
    }
    let carried = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let carried = carried.map(|carried| carried as &(dyn Error + 'static));
    carried.or_else(|| error.source()).is_some_and(is_about_certificate)
}

/// Sends requests to one peer over connections that are kept, or to many peers over a new connection
/// each.
#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    wait: Duration,
    /// Connections without a request, the most recently used one last.
    idle: Mutex<Vec<Idle>>,
    /// Whether a task closes them when they are too old.
    is_swept: AtomicBool,
}

struct Idle {
    sender: Sender,
    from: Option<SocketAddr>,
    since: Instant,
}

/// A request that is being prepared.
pub(super) struct Request {
    client: Client,
    to: Arc<Address>,
    builder: request::Builder,
    wait: Duration,
    is_last: bool,
}

impl Client {
    /// A client with this timeout. It only connects to addresses that `admit` returns.
    pub(super) fn new(
        trust: &Trust,
        files: &Files,
        wait: Duration,
        admit: Option<Arc<Admit>>,
    ) -> anyhow::Result<Self> {
        let tls = tls::client_config(trust, files)?;
        Ok(Self::with(tls, wait, admit))
    }

    /// A client that records the certificate that it refused last.
    pub(super) fn watched(
        trust: &Trust,
        files: &Files,
        wait: Duration,
    ) -> anyhow::Result<(Self, LastRefused)> {
        let refused = LastRefused::default();
        let tls = tls::watched_client_config(trust, files, refused.clone())?;
        Ok((Self::with(tls, wait, None), refused))
    }

    /// A client that only accepts this certificate.
    pub(super) fn of_only(certificate: Pin, wait: Duration) -> anyhow::Result<Self> {
        Ok(Self::with(Arc::new(tls::only(certificate)?), wait, None))
    }

    fn with(tls: Arc<ClientConfig>, wait: Duration, admit: Option<Arc<Admit>>) -> Self {
        let (dialer, idle, is_swept) =
            (Dialer::new(tls, admit), Mutex::default(), AtomicBool::default());
        Self(Arc::new(Inner { dialer, wait, idle, is_swept }))
    }

    /// A request to this peer.
    pub(super) fn request(&self, method: Method, to: &Arc<Address>, path: &str) -> Request {
        let builder = http::Request::builder().method(method).uri(path);
        let builder = builder.header(header::ACCEPT, HeaderValue::from_static("*/*"));
        let (client, to, wait) = (self.clone(), Arc::clone(to), self.0.wait);
        Request { client, to, builder, wait, is_last: false }
    }

    /// Takes the connection that was used last.
    fn take(&self) -> Option<Idle> {
        let mut idle = self.0.idle();
        idle.retain(Idle::is_usable);
        idle.pop()
    }

    fn keep(&self, idle: Idle) {
        self.0.idle().push(idle);
        if !self.0.is_swept.swap(true, Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// The server may be about to close a connection that was not used for longer.
    fn is_usable(&self) -> bool {
        self.since.elapsed() < IDLE && !self.sender.is_closed()
    }
}

/// Closes connections that are too old, until there are none. Their buffers may contain secrets of
/// the last request.
async fn sweep(client: Weak<Inner>) {
    loop {
        sleep(IDLE).await;
        let Some(client) = client.upgrade() else { return };
        let mut idle = client.idle();
        idle.retain(Idle::is_usable);
        if idle.is_empty() {
            client.is_swept.store(false, Relaxed);
            return;
        }
    }
}

impl Request {
    pub(super) fn header<V>(self, name: HeaderName, value: V) -> Self
    where
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        Self { builder: self.builder.header(name, value), ..self }
    }

    pub(super) fn timeout(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The connection is new, and is closed after the response.
    pub(super) fn closing(self) -> Self {
        Self { is_last: true, ..self }
    }

    /// Sends the request, and reads the response into this buffer.
    pub(super) async fn send(self, content: Bytes, body: Buffer) -> Result<Reply, Failure> {
        self.send_within(content, body, xml::MAX_BYTES).await
    }

    /// Sends a document, which is wiped from memory afterwards.
    pub(super) async fn send_document(
        self,
        document: Zeroizing<String>,
        body: Buffer,
        limit: usize,
    ) -> Result<Reply, Failure> {
        let content = Bytes::from_owner(Wiped(document));
        self.of_type(CONTENT_TYPE).send_within(content, body, limit).await
    }

    pub(super) fn of_type(self, kind: &'static str) -> Self {
        self.header(header::CONTENT_TYPE, HeaderValue::from_static(kind))
    }

    /// The response may have `limit` bytes.
    async fn send_within(
        self,
        content: Bytes,
        body: Buffer,
        limit: usize,
    ) -> Result<Reply, Failure> {
        let wait = self.wait;
        let exchange = async {
            match self.is_last {
                true => Box::pin(self.exchange_once(content, body, limit)).await,
                false => self.exchange(content, body, limit).await,
            }
        };
        timeout(wait, exchange).await.map_err(|_| Failure::TimedOut)?
    }

    /// Exchanges messages over a connection that is kept.
    async fn exchange(self, content: Bytes, body: Buffer, limit: usize) -> Result<Reply, Failure> {
        let Self { client, to, builder, .. } = self;
        let mut request = build(builder, &to, content)?;
        while let Some(Idle { mut sender, from, .. }) = client.take() {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return client.finish(response, (sender, from), body, limit).await,
                // The server closed the connection before it read the request.
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        }
        let Opened { mut sender, driver, from } = client.0.dialer.open(&to).await?;
        // Its errors are those of the requests.
        tokio::spawn(async move { driver.await.ok() });
        let response = sender.send_request(request).await?;
        client.finish(response, (sender, from), body, limit).await
    }

    /// Exchanges messages over a connection of its own, without another task.
    async fn exchange_once(
        self,
        content: Bytes,
        body: Buffer,
        limit: usize,
    ) -> Result<Reply, Failure> {
        let request = build(self.builder, &self.to, content)?;
        let Opened { mut sender, mut driver, from } = self.client.0.dialer.open(&self.to).await?;
        let exchange = async move {
            let response = sender.send_request(request).await?;
            read(response, from, body, limit).await
        };
        let mut exchange = std::pin::pin!(exchange);
        let reply = tokio::select! {
            biased;
            reply = &mut exchange => reply,
            // The response may have been received completely.
            _ = &mut driver => return exchange.await,
        };
        // Closes the connection as TLS requires.
        let _ = timeout(CLOSE, driver).await;
        reply
    }
}

impl Client {
    async fn finish(
        &self,
        response: Response<Incoming>,
        (sender, from): (Sender, Option<SocketAddr>),
        body: Buffer,
        limit: usize,
    ) -> Result<Reply, Failure> {
        let reply = read(response, from, body, limit).await?;
        self.keep(Idle { sender, from, since: Instant::now() });
        Ok(reply)
    }
}

fn build(
    builder: request::Builder,
    to: &Address,
    content: Bytes,
) -> Result<http::Request<Content>, Failure> {
    let host = to.header().map_err(http::Error::from)?;
    Ok(builder.header(header::HOST, host).body(Content::new(content))?)
}

async fn read(
    response: Response<Incoming>,
    from: Option<SocketAddr>,
    mut body: Buffer,
    limit: usize,
) -> Result<Reply, Failure> {
    let (parts, mut content) = response.into_parts();
    loop {
        let frame = tokio::select! {
            frame = content.frame() => frame.transpose()?,
            () = body.evicted() => return Err(OverBudget.into()),
        };
        let Some(frame) = frame else { break };
        let Ok(chunk) = frame.into_data() else { continue };
        if body.len() + chunk.len() > limit {
            return Err(Failure::TooLarge { limit });
        }
        body.extend(&chunk)?;
    }
    Ok(Reply { status: parts.status, from, headers: parts.headers, body })
}

/// How long to wait until a connection is closed.
const CLOSE: Duration = Duration::from_secs(1);

/// Verification with the listed certificates and these pins, or none.
pub(super) fn trust(
    config: &cmsg_config::ConnectionManager,
    verify: bool,
    pins: Vec<Pin>,
) -> Trust {
    if verify {
        Trust::Verify { ca_certificates: config.ca_certificates.clone(), pins }
    } else {
        Trust::Off
    }
}

struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
