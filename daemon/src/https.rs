//! HTTPS for both roles: connections with deadlines and limits, and the responses that both roles
//! share. Each role defines its own paths.

pub(crate) mod bodies;
pub(crate) mod connection_permit;
pub(crate) mod listener;
mod stream;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use cmsg_proto::control::{self, Offer};
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::{
    Request,
    body::{Body as _, Incoming},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, trace};

use crate::{logs::as_error, proxy_header};
use bodies::Buffer;
use connection_permit::ConnectionPermit;
use listener::{Accepted, Content, Listener, speak};
use stream::Stream;

/// Timeout of the body of a request.
const BODY_WAIT: Duration = Duration::from_secs(30);

/// Path for load balancers.
pub(crate) const HEALTH: &str = "/health";

/// Maximum lifetime of a connection above the limit; load balancers wait five seconds.
const BESIDE: Duration = Duration::from_secs(3);

/// Bytes of a request that are read before it is refused for lack of capacity.
const UNREAD: usize = 64 * 1024;

pub(crate) struct Server {
    pub(crate) listener: Listener,
    pub(crate) acceptor: TlsAcceptor,
    /// The timeouts of the next connection.
    pub(crate) timeouts: Box<dyn Fn() -> Timeouts + Send + Sync>,
    pub(crate) shutdown: CancellationToken,
}

/// Timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Of the TLS handshake.
    pub(crate) handshake: Duration,
    /// Of the head of a request.
    pub(crate) head: Duration,
}

#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// Address of the client; IPv4-mapped addresses are converted to IPv4.
    pub(crate) peer: IpAddr,
    /// Local address to which the client connected.
    pub(crate) local: IpAddr,
    /// Number of the connection.
    pub(crate) connection: u64,
    /// Decides whether the connection is closed to make room for others.
    pub(crate) place: Arc<ConnectionPermit>,
}

impl Server {
    /// Accepts connections until the shutdown.
    pub(crate) async fn run<A, F>(self, connections: TaskTracker, answer: A)
    where
        A: Fn(Client, Request<Incoming>) -> F + Send + Sync + 'static,
        F: Future<Output = Response<Content>> + Send,
    {
        let both = Arc::new((self, answer));
        let mut number = 0;
        let accept = || both.0.shutdown.run_until_cancelled(both.0.listener.accept());
        while let Some(accepted) = accept().await {
            number += 1;
            let both = Arc::clone(&both);
            connections.spawn(async move {
                let (server, answer) = &*both;
                server.connection(accepted, number, answer).await;
            });
        }
    }

    async fn connection<A, F>(&self, accepted: Accepted, number: u64, answer: &A)
    where
        A: Fn(Client, Request<Incoming>) -> F,
        F: Future<Output = Response<Content>>,
    {
        let Accepted { stream, peer, permit, is_beside } = accepted;
        debug!(c = number, %peer, "Connection opened");
        let Ok(local) = stream.local_addr() else { return };
        let place = Arc::new(ConnectionPermit::new(permit));
        let client = Client {
            peer: peer.ip().to_canonical(),
            local: local.ip().to_canonical(),
            connection: number,
            place: Arc::clone(&place),
        };
        let served = async {
            if is_beside {
                let answer = |client, request| self.beside(client, request, answer);
                let served = self.speak(stream, client, &answer);
                let _ = tokio::time::timeout(BESIDE, served).await;
            } else {
                self.speak(stream, client, answer).await;
            }
        };
        tokio::select! {
            () = served => trace!(c = number, "Connection closed"),
            () = place.evicted() => {
                self.listener.count_evicted();
                debug!(c = number, "Connection closed to make room for others");
            }
        }
    }

    async fn speak<A, F>(&self, stream: TcpStream, client: Client, answer: &A)
    where
        A: Fn(Client, Request<Incoming>) -> F,
        F: Future<Output = Response<Content>>,
    {
        let number = client.connection;
        let timeouts = (self.timeouts)();
        let handshake = tokio::time::timeout(timeouts.handshake, async {
            proxy_header::look(&stream, client.peer).await;
            let stream = Stream::new(stream, Arc::clone(&client.place));
            self.acceptor.accept(stream).await
        });
        match self.shutdown.run_until_cancelled(handshake).await {
            Some(Ok(Ok(stream))) => {
                let answer = |request| {
                    client.place.request_started();
                    let answering = answer(client.clone(), request);
                    async {
                        let response = answering.await;
                        client.place.request_ended();
                        response
                    }
                };
                speak(stream, timeouts.head, self.shutdown.clone(), answer).await;
            }
            Some(Ok(Err(error))) => {
                debug!(c = number, error = as_error(&error), "TLS handshake failed");
            }
            Some(Err(_)) => debug!(c = number, "TLS handshake timed out"),
            None => {}
        }
    }

    /// Answers the only request of a connection above the limit. Health checks get the real result,
    /// since load balancers depend on it.
    async fn beside<A, F>(
        &self,
        client: Client,
        request: Request<Incoming>,
        answer: &A,
    ) -> Response<Content>
    where
        A: Fn(Client, Request<Incoming>) -> F,
        F: Future<Output = Response<Content>>,
    {
        let mut response = if is_health_check(&request) {
            answer(client, request).await
        } else {
            self.listener.count_crowded();
            skip(request.into_body()).await;
            plain(StatusCode::SERVICE_UNAVAILABLE)
        };
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }
}

fn is_health_check(request: &Request<Incoming>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        && [HEALTH, control::HEALTH].contains(&path(request))
}

/// The path of a request. `/health/` is returned as `/health`, since load balancers use both.
pub(crate) fn path<B>(request: &Request<B>) -> &str {
    let path = request.uri().path();
    let is_health = |path: &&str| [HEALTH, control::HEALTH].contains(path);
    path.strip_suffix('/').filter(is_health).unwrap_or(path)
}

/// The response to other methods on a path with `GET` and `HEAD`. Some load balancers send
/// `OPTIONS` first.
pub(crate) fn beside_get(method: &Method) -> Response<Content> {
    let mut response = not_allowed("GET, HEAD");
    if *method == Method::OPTIONS {
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.body_mut() = Content::whole("");
    }
    response
}

/// Reads the body of a request before its deadline.
pub(crate) async fn whole(
    body: Incoming,
    limit: usize,
    mut buffer: Buffer,
) -> Result<Buffer, StatusCode> {
    if body.size_hint().lower() > limit as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let reading = read(body, limit, &mut buffer);
    tokio::time::timeout(BODY_WAIT, reading).await.map_err(|_| StatusCode::REQUEST_TIMEOUT)??;
    Ok(buffer)
}

async fn read(mut body: Incoming, limit: usize, buffer: &mut Buffer) -> Result<(), StatusCode> {
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = buffer.evicted() => return Err(StatusCode::SERVICE_UNAVAILABLE),
        };
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Ok(data) = frame.into_data() else { continue };
        if buffer.len() + data.len() > limit {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        buffer.extend(&data).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    }
}

/// Reads a part of an unneeded body, so that the client reads the response.
async fn skip(mut body: Incoming) {
    let mut left = UNREAD;
    while let Some(Ok(frame)) = body.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len().max(1)));
        if left == 0 {
            return;
        }
    }
}

/// The documented response of `/health`: success, or a status and the reason. `offer` is that of a
/// gateway.
pub(crate) fn health(found: Result<(), (StatusCode, &str)>, offer: Offer) -> Response<Content> {
    let offer = offer.members();
    let (status, document) = match found {
        Ok(()) => (StatusCode::OK, format!(r#"{{"code":200,"status":"success"{offer}}}"#)),
        Err((status, reason)) => {
            let (code, reason) = (status.as_u16(), serde_json::Value::from(reason));
            (status, format!(r#"{{"code":{code},"status":"Error","reason":{reason}{offer}}}"#))
        }
    };
    content(status, "application/json", Content::whole(document))
}

/// A response with a status and a sentence.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Content> {
    content(status, "text/plain; charset=UTF-8", Content::whole(text))
}

/// Status 405 (RFC 9110, section 15.5.6).
pub(crate) fn not_allowed(allowed: &'static str) -> Response<Content> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// A response with a status and its name.
pub(crate) fn plain(status: StatusCode) -> Response<Content> {
    text(status, status.canonical_reason().unwrap_or_default())
}

/// A response with this content.
pub(crate) fn content(status: StatusCode, kind: &'static str, what: Content) -> Response<Content> {
    let mut response = Response::new(what);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
