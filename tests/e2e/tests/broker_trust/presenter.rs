//! A broker that presents different certificates and reports different times.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// It answers until the test ends.
pub(crate) struct Presenter {
    pub(crate) address: SocketAddr,
    shown: Arc<Mutex<Shown>>,
    authority: CertifiedIssuer<'static, KeyPair>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Shown {
    config: Arc<ServerConfig>,
    /// Lines of the answer's head.
    head: String,
}

/// A certificate to present.
pub(crate) struct Presented<'a> {
    pub(crate) name: &'a str,
    /// The first and the last year.
    pub(crate) years: (i32, i32),
    /// Whether the presenter's authority issues it.
    pub(crate) is_issued: bool,
    /// Lines of the answer's head.
    pub(crate) head: &'a str,
}

impl Presented<'_> {
    /// One that is right.
    pub(crate) const RIGHT: Self =
        Self { name: "localhost", years: (2020, 2099), is_issued: true, head: "" };
}

impl Presenter {
    pub(crate) async fn start(presented: &Presented<'_>) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "The authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let authority =
            CertifiedIssuer::self_signed(params, key).expect("an authority can be made");
        let shown = Arc::new(Mutex::new(shown(presented, &authority)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let showing = Arc::clone(&shown);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shown = showing.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(answer(stream, shown));
            }
        });
        Self { address, shown, authority, task }
    }

    /// Presents another certificate from now on.
    pub(crate) fn present(&self, presented: &Presented<'_>) {
        let shown = shown(presented, &self.authority);
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    pub(crate) fn authority(&self) -> String {
        self.authority.pem()
    }
}

impl Drop for Presenter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn shown(presented: &Presented<'_>, authority: &CertifiedIssuer<'static, KeyPair>) -> Shown {
    let key = KeyPair::generate().expect("a key can be made");
    let mut params = CertificateParams::new([presented.name.to_owned()]).expect("it is a name");
    params.not_before = date_time_ymd(presented.years.0, 1, 1);
    params.not_after = date_time_ymd(presented.years.1, 1, 1);
    let certificate = if presented.is_issued {
        params.signed_by(&key, authority)
    } else {
        params.self_signed(&key)
    };
    let certificate = certificate.expect("a certificate can be made").der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    Shown { config: Arc::new(config), head: presented.head.to_owned() }
}

async fn answer(stream: TcpStream, shown: Shown) {
    let Ok(mut stream) = TlsAcceptor::from(shown.config).accept(stream).await else { return };
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let head = shown.head;
    let answer =
        format!("HTTP/1.1 404 Not Found\r\n{head}Connection: close\r\nContent-Length: 0\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
