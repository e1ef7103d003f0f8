//! A client whose exact bytes a test controls.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// Longer than any step of a test.
const WAIT: Duration = Duration::from_secs(30);
/// The session log id of every talk.
pub(crate) const ID: &str = "0b1c2d3e-0000-4000-8000-00000000000b";

/// A client of a Connection Manager.
pub(crate) struct Talk {
    address: SocketAddr,
    connector: TlsConnector,
    pub(crate) cookie: Option<String>,
}

impl Talk {
    /// A client that trusts this certificate.
    pub(crate) fn with(address: SocketAddr, certificate: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(certificate);
        roots.add(certificate.expect("it is a certificate")).expect("it can be trusted");
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address, connector: TlsConnector::from(Arc::new(config)), cookie: None }
    }

    /// Sends a message of the protocol, and returns the whole answer.
    pub(crate) async fn ask(&mut self, message: &str) -> String {
        let document = format!("<pcoip-client version=\"2.1\">{message}</pcoip-client>");
        self.post("/pcoip-broker/xml", "", &document).await
    }

    /// Sends a request with these additional header lines, and returns the response.
    pub(crate) async fn post(&mut self, path: &str, headers: &str, body: &str) -> String {
        let cookie = self.cookie.as_ref().map(|c| format!("Cookie: JSESSIONID={c}\r\n"));
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nConnection: close\r\n\
             CLIENT-LOG-ID: {ID}\r\n{headers}{}Content-Length: {}\r\n\r\n{body}",
            cookie.unwrap_or_default(),
            body.len()
        );
        let answer = timeout(WAIT, self.exchange(request.as_bytes())).await;
        let answer = answer.expect("it answers in time");
        if let Some((_, rest)) = answer.split_once("JSESSIONID=") {
            self.cookie = rest.split([';', '\r']).next().map(str::to_owned);
        }
        answer
    }

    /// Sends bytes over TLS, and returns all that comes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let stream = TcpStream::connect(self.address).await.expect("it listens");
        let name = self.address.ip().into();
        let mut stream = self.connector.connect(name, stream).await.expect("it speaks TLS");
        stream.write_all(bytes).await.expect("it is taken");
        stream.flush().await.expect("it is taken");
        let mut answer = Vec::new();
        // The connection may end without a TLS close_notify alert.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}
