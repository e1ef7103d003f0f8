//! TLS connections for arbitrary bytes, including invalid requests.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{messages, source};
use crate::http::HttpError;
use crate::http::body::{read_body, read_head};
use crate::tls::{self, Connectors, TlsError, Trust};

/// Opens connections; TLS sessions are resumed.
#[derive(Clone)]
pub struct RawConnector(TlsConnector);

#[derive(Debug)]
pub struct RawConnection(BufReader<TlsStream<TcpStream>>);

impl RawConnector {
    /// A connector that accepts any certificate.
    ///
    /// # Errors
    ///
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, TlsError> {
        Ok(Self(Connectors::new(&Trust::Any)?.target))
    }

    /// Connects from one address to another.
    ///
    /// # Errors
    ///
    /// If TCP or TLS fails.
    pub async fn connect(&self, from: IpAddr, to: SocketAddr) -> io::Result<RawConnection> {
        let stream = source::connect(Some(from), to).await?;
        stream.set_nodelay(true)?;
        let name = tls::server_name("localhost").ok_or(io::ErrorKind::InvalidInput)?;
        Ok(RawConnection(BufReader::new(self.0.connect(name, stream).await?)))
    }
}

impl RawConnection {
    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await?;
        self.0.flush().await
    }

    /// Reads an HTTP response to its end, and returns its status.
    ///
    /// # Errors
    ///
    /// If the connection fails, or what comes is no HTTP.
    pub async fn response(&mut self) -> io::Result<u16> {
        let response = async {
            let head = read_head(&mut self.0).await?.ok_or(HttpError::Truncated)?;
            let status = head.start[1].parse();
            let status = status.map_err(|_| HttpError::Head(head.start[1].clone()))?;
            read_body(&mut self.0, &head.headers).await?;
            Ok(status)
        };
        response.await.map_err(|error: HttpError| io::Error::other(error))
    }

    /// Waits until the peer sends something or closes the connection.
    pub async fn stirred(&mut self) {
        let _ = self.0.read_u8().await;
    }
}

/// A whole request with a client's hello.
#[must_use]
pub fn hello_request(host: &str) -> String {
    xml_request(&messages::hello(host))
}

/// A whole request with that body, for the path of the broker protocol.
#[must_use]
pub fn xml_request(body: &str) -> String {
    format!(
        "POST /pcoip-broker/xml HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl std::fmt::Debug for RawConnector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("RawConnector")
    }
}
