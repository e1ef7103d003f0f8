//! A broker that can stop answering.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use http::Response;
use http_body_util::BodyExt as _;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use super::{
    broker,
    world::{WAIT, certificate},
};
use crate::{
    https::listener::{Content, speak},
    reload::Files,
    tls,
};

#[derive(Default)]
pub(super) struct Moody {
    pub(super) port: u16,
    pub(super) hangs: AtomicBool,
    /// The documents that it received.
    pub(super) heard: Mutex<Vec<String>>,
    pub(super) news: Notify,
}

impl Moody {
    pub(super) async fn start() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        certificate(folder.path());
        let (crt, key) = (folder.path().join("crt"), folder.path().join("key"));
        let tls: tokio_rustls::TlsAcceptor =
            tls::server_config(&crt, &key, &Files::default()).unwrap().into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let moody = Arc::new(Self { port, ..Self::default() });
        let serving = Arc::clone(&moody);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, moody) = (tls.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    speak(stream, WAIT, CancellationToken::new(), |request| {
                        let moody = Arc::clone(&moody);
                        async move {
                            let body = request.into_body().collect().await.unwrap().to_bytes();
                            moody.answer(&String::from_utf8_lossy(&body)).await
                        }
                    })
                    .await;
                });
            }
        });
        moody
    }

    /// The line that makes it the broker of a Connection Manager.
    pub(super) fn conf(&self) -> String {
        format!("SecurityGatewayEnabled = false\nPcoipAddress = https://127.0.0.1:{}\n", self.port)
    }

    /// Waits until it has received so many documents.
    pub(super) async fn has_heard(&self, count: usize) {
        while self.heard.lock().unwrap().len() < count {
            tokio::time::timeout(WAIT, self.news.notified()).await.expect("a request arrives");
        }
    }

    /// Checks without a document are always answered.
    async fn answer(&self, body: &str) -> Response<Content> {
        let (status, said) = broker(body);
        if !body.is_empty() {
            self.heard.lock().unwrap().push(body.to_owned());
            self.news.notify_one();
            if self.hangs.load(SeqCst) {
                std::future::pending::<()>().await;
            }
        }
        let mut response = Response::new(Content::whole(said));
        *response.status_mut() = status;
        response
    }
}
