//! Opens connections to upstream peers: over TCP with TLS, or to a unix socket.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use cmsg_config::values::HostPort;
use http::{HeaderValue, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::Failure;

/// Timeout of the TCP connection and its TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// What a request contains.
pub(super) type Content = Full<Bytes>;

/// The end of a connection on which requests are sent.
pub(super) type Sender = SendRequest<Content>;

/// Transports the bytes of a connection. It ends when the connection does.
pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// Which of the addresses of a host may be contacted.
pub(in super::super) type Admit =
    dyn Fn(Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Where a peer listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Address {
    Tcp(HostPort),
    Unix(PathBuf),
}

impl Address {
    /// The `Host` header for this address.
    pub(super) fn header(&self) -> Result<HeaderValue, header::InvalidHeaderValue> {
        match self {
            Self::Tcp(HostPort { host, port: 443 }) => host.to_string().parse(),
            Self::Tcp(address) => address.to_string().parse(),
            Self::Unix(_) => Ok(HeaderValue::from_static("localhost")),
        }
    }
}

/// Opens connections with these settings.
pub(super) struct Dialer {
    tls: TlsConnector,
    tcp: HttpConnector<Names>,
}

/// An open connection.
pub(super) struct Opened {
    pub(super) sender: Sender,
    pub(super) driver: Driver,
    /// The address that accepted it; `None` for a unix socket.
    pub(super) from: Option<SocketAddr>,
}

impl Dialer {
    pub(super) fn new(tls: Arc<ClientConfig>, admit: Option<Arc<Admit>>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Names { admit });
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        Self { tls: TlsConnector::from(tls), tcp }
    }

    pub(super) async fn open(&self, address: &Address) -> Result<Opened, Failure> {
        let opening = async {
            match address {
                Address::Tcp(address) => self.secure(address).await,
                Address::Unix(path) => {
                    let stream = UnixStream::connect(path).await.map_err(failed("connecting"))?;
                    speak(stream, None).await
                }
            }
        };
        timeout(CONNECT, opening).await.map_err(|_| Failure::TimedOut)?
    }

    async fn secure(&self, address: &HostPort) -> Result<Opened, Failure> {
        let host = address.host.as_str();
        let name = ServerName::try_from(host.to_owned()).map_err(failed("using the name"))?;
        let stream = self.connect(address).await?;
        let from = stream.peer_addr().map_err(failed("connecting"))?;
        let stream = self.tls.connect(name, stream).await.map_err(failed("TLS handshake"))?;
        speak(stream, Some(from)).await
    }

    async fn connect(&self, address: &HostPort) -> Result<TcpStream, Failure> {
        let uri = Uri::builder().scheme("https").authority(address.to_string());
        let uri = uri.path_and_query("/").build().map_err(failed("using the name"))?;
        let stream = self.tcp.clone().call(uri).await;
        Ok(stream.map_err(|error| Failure::Failed(error.into()))?.into_inner())
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: Option<SocketAddr>,
) -> Result<Opened, Failure> {
    let mut builder = http1::Builder::new();
    builder.title_case_headers(true);
    let opened = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = opened.map_err(|error| Failure::Failed(error.into()))?;
    Ok(Opened { sender, driver: Box::pin(connection), from })
}

/// A failure in this step.
fn failed<E: std::error::Error + Send + Sync + 'static>(
    step: &'static str,
) -> impl FnOnce(E) -> Failure {
    move |source| Failure::Failed(Box::new(Step { step, source: Box::new(source) }))
}

#[derive(Debug, thiserror::Error)]
#[error("{step}")]
struct Step {
    step: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Resolves host names with [`lookup`] to addresses that may be contacted.
#[derive(Clone)]
struct Names {
    admit: Option<Arc<Admit>>,
}

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let admit = self.admit.clone();
        Box::pin(async move {
            let found = lookup(name.as_str()).await?;
            let admitted = admit.map_or(Ok(found.clone()), |admit| admit(found));
            Ok(admitted?.into_iter())
        })
    }
}

/// The addresses of a host name. The system does not find names with a final dot in `/etc/hosts`,
/// so a name that is not found is looked up again without it.
async fn lookup(name: &str) -> io::Result<Vec<SocketAddr>> {
    match (lookup_host((name, 0)).await, name.strip_suffix('.')) {
        (Ok(found), _) => Ok(found.collect()),
        (Err(_), Some(relative)) => Ok(lookup_host((relative, 0)).await?.collect()),
        (Err(error), None) => Err(error),
    }
}
