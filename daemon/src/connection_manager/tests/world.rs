//! A Connection Manager with scripted broker, agent and gateway.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use cmsg_config::{
    ConfFile,
    socket::{self, Role},
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{Request, body::Incoming};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::super::bind;
use crate::{
    https::listener::{Content, speak},
    reload::Files,
    tls::{self, Trust},
};

pub(super) const ID: &str = "0b1c2d3e-0000-4000-8000-00000000000a";

/// Longer than any step of a test.
pub(super) const WAIT: Duration = Duration::from_secs(10);

/// Received requests: path, headers, body.
pub(super) type Heard = Arc<Mutex<Vec<(String, HeaderMap, String)>>>;

/// Maps a request body to a response.
pub(super) type Script = fn(&str) -> (StatusCode, String);

pub(super) struct World {
    folder: TempDir,
    pub(super) broker: Heard,
    pub(super) agent: Heard,
    pub(super) gateway: Heard,
    conf: String,
    role: Running,
}

/// A running Connection Manager.
struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// A Connection Manager with these lines in its configuration, where `{AGENT}` is the agent's
    /// port. Any address of the agent is allowed.
    pub(super) async fn with(conf: &str, broker: Script, agent: Script) -> Self {
        let conf = format!("AllowedAgents = 0.0.0.0/0\nAllowedAgents = ::/0\n{conf}");
        Self::strict(&conf, broker, agent).await
    }

    /// The same, where agents are only allowed in the networks of these lines.
    pub(super) async fn strict(conf: &str, broker: Script, agent: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        certificate(path);
        let tls: TlsAcceptor =
            tls::server_config(&path.join("crt"), &path.join("key"), &Files::default())
                .unwrap()
                .into();
        let (broker, broker_port) = somebody(tls.clone(), broker).await;
        let (agent, agent_port) = somebody(tls, agent).await;
        let gateway = gateway(path);
        let mut conf = format!("AgentPort = {agent_port}\n{conf}");
        if !conf.contains("PcoipAddress") {
            conf = format!("PcoipAddress = https://127.0.0.1:{broker_port}\n{conf}");
        }
        let conf = conf.replace("{AGENT}", &agent_port.to_string());
        let role = Running::start(&Handle::current(), config(path, &conf)).await;
        Self { folder, broker, agent, gateway, conf, role }
    }

    /// Starts another Connection Manager, without stopping the previous one.
    pub(super) async fn start_on(&mut self, runtime: &Handle) {
        self.role = Running::start(runtime, config(self.folder.path(), &self.conf)).await;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.role.address
    }

    pub(super) fn run(&self) -> &Path {
        self.folder.path()
    }

    /// Posts a document and returns head and content of the response.
    pub(super) async fn post(&self, cookie: Option<&str>, document: &str) -> (String, String) {
        let cookie = cookie.map(|c| format!("Cookie: JSESSIONID={c}\r\n")).unwrap_or_default();
        let head = format!("Content-Type: text/xml\r\nCLIENT-LOG-ID: {ID}\r\n{cookie}");
        self.http("POST /pcoip-broker/xml", &head, document).await
    }

    /// Sends a request as text, since clients depend on the exact bytes of the response.
    pub(super) async fn http(&self, what: &str, head: &str, body: &str) -> (String, String) {
        let stream = TcpStream::connect(self.address()).await.unwrap();
        self.http_over(stream, what, head, body).await
    }

    /// The same over an existing connection.
    pub(super) async fn http_over(
        &self,
        stream: TcpStream,
        what: &str,
        head: &str,
        body: &str,
    ) -> (String, String) {
        let tls = TlsConnector::from(tls::client_config(&Trust::Off, &Files::default()).unwrap());
        let mut stream = tls.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let length = body.len();
        let request = format!(
            "{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{head}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        let content = match head.contains("Transfer-Encoding: chunked") {
            true => content.split("\r\n").nth(1).unwrap(),
            false => content,
        };
        (head.to_owned(), content.to_owned())
    }

    pub(super) async fn stop(&mut self) {
        self.role.shutdown.cancel();
        timeout(WAIT, &mut self.role.serving).await.unwrap().unwrap().unwrap();
    }
}

impl Running {
    async fn start(runtime: &Handle, config: cmsg_config::ConnectionManager) -> Self {
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let (sender, address) = oneshot::channel();
        let serving = runtime.spawn(async move {
            let role = bind(config).await?;
            sender.send(role.listens()[0].address).unwrap();
            role.serve(stop).await
        });
        Self { address: address.await.unwrap(), shutdown, serving }
    }
}

/// A configuration for tests. `lines` come first and take precedence.
pub(super) fn config(path: &Path, lines: &str) -> cmsg_config::ConnectionManager {
    cmsg_config::ConnectionManager::read(&ConfFile::parse(&conf(path, lines))).unwrap().value
}

/// The text of the configuration.
pub(super) fn conf(path: &Path, lines: &str) -> String {
    let at = path.display();
    format!(
        "{lines}\nBrokerCertCheck = false\nListenAddress = 127.0.0.1:0\n\
         HttpListenAddress = off\nJwtSigningKey = {at}/key\nSslCertificate = {at}/crt\n\
         SslKey = {at}/key\nRunDirectory = {at}\nDataDirectory = {at}\nCaCertificate = {at}/crt\n"
    )
}

pub(super) fn certificate(path: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    for (name, pem) in [("crt", made.cert.pem()), ("key", made.signing_key.serialize_pem())] {
        let mut file = tempfile::NamedTempFile::new_in(path).unwrap();
        std::io::Write::write_all(&mut file, pem.as_bytes()).unwrap();
        file.persist(path.join(name)).unwrap();
    }
}

pub(super) async fn somebody(tls: TlsAcceptor, script: Script) -> (Heard, u16) {
    let heard = Heard::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, heard) = (tls.clone(), Arc::clone(&hearing));
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let answer = |request| answer(Arc::clone(&heard), request, script);
                speak(stream, WAIT, CancellationToken::new(), answer).await;
            });
        }
    });
    (heard, port)
}

/// A gateway that accepts every announcement and gives the client a different tag.
pub(super) fn gateway(run: &Path) -> Heard {
    gateway_with(run, gateway_says)
}

/// A gateway with these answers.
pub(super) fn gateway_with(run: &Path, script: Script) -> Heard {
    let heard = Heard::default();
    let listener = socket::bind(run, Role::Sg).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    let hearing = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let heard = Arc::clone(&hearing);
            tokio::spawn(async move {
                let answer = |request| answer(Arc::clone(&heard), request, script);
                speak(stream, WAIT, CancellationToken::new(), answer).await;
            });
        }
    });
    heard
}

pub(super) fn gateway_says(body: &str) -> (StatusCode, String) {
    let (status, answer) = match body {
        // A check of the gateway.
        "" => (StatusCode::OK, r#"{"code":200,"status":"success"}"#),
        "<ended />" => (
            StatusCode::CONFLICT,
            "<pcoip-sg version=\"1.0\"><add-connection><result>refused</result></add-connection>\
             </pcoip-sg>",
        ),
        _ => (
            StatusCode::OK,
            "<pcoip-sg version=\"1.0\"><add-connection><result>ok</result><rtag>SCS1other</rtag>\
             <sg-sni>pcoip-default-sg-sni</sg-sni></add-connection></pcoip-sg>",
        ),
    };
    (status, answer.to_owned())
}

async fn answer(heard: Heard, request: Request<Incoming>, script: Script) -> Response<Content> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (status, said) = script(&body);
    heard.lock().unwrap().push((head.uri.path().to_owned(), head.headers, body));
    let mut response = Response::new(Content::whole(said));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("set-cookie", "JSESSIONID=brokers; path=/".parse().unwrap());
    response
}
