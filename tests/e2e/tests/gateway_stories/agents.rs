//! Agents for these tests.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use e2e::leaks;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::{AbortHandle, yield_now},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::world::identity;

/// An agent that answers everything in upper case, and appends its name to datagrams.
pub(crate) struct Agent {
    pub(crate) address: SocketAddr,
    /// How many datagrams came.
    pub(crate) datagrams: Arc<AtomicUsize>,
    udp: AbortHandle,
}

/// The TLS settings of an agent.
pub(crate) fn acceptor() -> TlsAcceptor {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    identity(folder.path(), "agent", &["agent"]);
    let certificate = CertificateDer::from_pem_file(folder.path().join("agent.crt"));
    let key = PrivateKeyDer::from_pem_file(folder.path().join("agent.key"));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS can be set up")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("it was written")], key.expect("it was written"));
    TlsAcceptor::from(Arc::new(config.expect("TLS can be set up")))
}

/// An agent that does this with every connection.
pub(crate) async fn agent<F>(what: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    leaks::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            leaks::spawn(what(stream));
        }
    });
    address
}

impl Agent {
    pub(crate) async fn start(name: &'static str) -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
            let address = tcp.local_addr().expect("it is bound");
            if let Ok(udp) = UdpSocket::bind(address).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().expect("it is bound");
        let tls = acceptor();
        leaks::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                leaks::spawn(echo(tls.clone(), stream));
            }
        });
        let datagrams = Arc::new(AtomicUsize::new(0));
        let udp = leaks::spawn(answer(udp, name, Arc::clone(&datagrams)));
        Self { address, datagrams, udp }
    }

    pub(crate) fn datagrams(&self) -> usize {
        self.datagrams.load(Ordering::SeqCst)
    }

    /// Closes the UDP socket, so that datagrams are rejected.
    pub(crate) async fn close_udp(&self) {
        self.udp.abort();
        while !self.udp.is_finished() {
            yield_now().await;
        }
    }
}

async fn answer(udp: UdpSocket, name: &'static str, count: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 65_536];
    while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
        count.fetch_add(1, Ordering::SeqCst);
        let answer = [&buffer[..length].to_ascii_uppercase(), name.as_bytes()].concat();
        // A response that would be too large is sent without the name.
        if udp.send_to(&answer, from).await.is_err() {
            let _ = udp.send_to(&answer[..length], from).await;
        }
    }
}

async fn echo(tls: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = tls.accept(stream).await else { return };
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if send(&mut stream, &buffer[..length].to_ascii_uppercase()).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

pub(crate) async fn send(stream: &mut TlsStream<TcpStream>, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}
