//! The HTTP client for broker, agents and gateways: no proxy, no redirects, a deadline for the
//! whole exchange, and a response of bounded size.

use std::{error::Error, io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use cmsg_config::values::Pin;
use cmsg_proto::xml;
use http::{HeaderMap, StatusCode, header};
use reqwest::{
    Client, ClientBuilder, RequestBuilder,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use rustls::ClientConfig;
use tokio::net::lookup_host;
use zeroize::Zeroizing;

use crate::{
    https::bodies::{Buffer, OverBudget},
    reload::Files,
    tls::{self, LastRefused, Refusal, Trust},
};

/// Timeout of the TCP connection and its TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// Shorter than the idle timeout of any known server, so that a connection is not reused while the
/// server closes it.
const IDLE: Duration = Duration::from_secs(4);

/// The documented type, in the spelling that all known parsers accept.
const CONTENT_TYPE: &str = "application/xml; charset=UTF-8";

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

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Failed(error.without_url().into()) }
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

/// A client with this timeout.
pub(super) fn client(
    trust: &Trust,
    files: &Files,
    wait: Duration,
    adapt: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> anyhow::Result<Client> {
    let (client, _) = watched_client(trust, files, wait, adapt)?;
    Ok(client)
}

/// The same, which records the certificate that it refused last.
pub(super) fn watched_client(
    trust: &Trust,
    files: &Files,
    wait: Duration,
    adapt: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> anyhow::Result<(Client, LastRefused)> {
    let refused = LastRefused::default();
    let tls = tls::watched_client_config(trust, files, refused.clone())?;
    Ok((build(Arc::unwrap_or_clone(tls), wait, adapt)?, refused))
}

/// A client that only accepts this certificate.
pub(super) fn client_of_only(certificate: Pin, wait: Duration) -> anyhow::Result<Client> {
    build(tls::only(certificate)?, wait, |builder| builder)
}

fn build(
    tls: ClientConfig,
    wait: Duration,
    adapt: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> anyhow::Result<Client> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(Policy::none())
        .http1_only()
        .http1_title_case_headers()
        .dns_resolver(Names)
        .connect_timeout(CONNECT)
        .timeout(wait)
        .pool_idle_timeout(IDLE);
    adapt(builder).build().context("preparing the HTTP client")
}

/// Resolves host names with [`lookup`].
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Addrs = Box::new(lookup(name.as_str()).await?.into_iter());
            Ok(found)
        })
    }
}

/// The addresses of a host name. The system does not find names with a final dot in `/etc/hosts`,
/// so a name that is not found is looked up again without it.
pub(super) async fn lookup(name: &str) -> io::Result<Vec<SocketAddr>> {
    match (lookup_host((name, 0)).await, name.strip_suffix('.')) {
        (Ok(found), _) => Ok(found.collect()),
        (Err(_), Some(relative)) => Ok(lookup_host((relative, 0)).await?.collect()),
        (Err(error), None) => Err(error),
    }
}

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

/// Sends a document, which is wiped from memory afterwards, and returns the response.
pub(super) async fn send(
    request: RequestBuilder,
    document: Zeroizing<String>,
    answer: Buffer,
) -> Result<Reply, Failure> {
    send_within(request, document, answer, xml::MAX_BYTES).await
}

/// The same, with a response of at most `limit` bytes.
pub(super) async fn send_within(
    request: RequestBuilder,
    document: Zeroizing<String>,
    answer: Buffer,
    limit: usize,
) -> Result<Reply, Failure> {
    let document = Bytes::from_owner(Wiped(document));
    exchange_within(with_document(request, document), answer, limit).await
}

/// Sends a document unchanged, and returns the response.
pub(super) async fn send_bytes(
    request: RequestBuilder,
    document: Bytes,
    answer: Buffer,
) -> Result<Reply, Failure> {
    exchange(with_document(request, document), answer).await
}

fn with_document(request: RequestBuilder, document: Bytes) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, CONTENT_TYPE).body(document)
}

/// Sends a request and reads the response into this buffer.
pub(super) async fn exchange(request: RequestBuilder, body: Buffer) -> Result<Reply, Failure> {
    exchange_within(request, body, xml::MAX_BYTES).await
}

async fn exchange_within(
    request: RequestBuilder,
    mut body: Buffer,
    limit: usize,
) -> Result<Reply, Failure> {
    let mut response = request.send().await?;
    loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk?,
            () = body.evicted() => return Err(OverBudget.into()),
        };
        let Some(chunk) = chunk else { break };
        if body.len() + chunk.len() > limit {
            return Err(Failure::TooLarge { limit });
        }
        body.extend(&chunk)?;
    }
    let headers = std::mem::take(response.headers_mut());
    Ok(Reply { status: response.status(), from: response.remote_addr(), headers, body })
}

struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
