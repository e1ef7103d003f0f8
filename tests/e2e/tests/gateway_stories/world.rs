//! A gateway in this process, announcements to it, and its status and log.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use cmsg_config::{
    ConfFile, SecurityGateway,
    socket::{Connection, Connections, Status, TurnedAway, Usage},
};
use e2e::leaks::{Before, Place};
use pcoip_cmsgd::security_gateway;
use rcgen::{CertificateParams, KeyPair};
use serde::de::DeserializeOwned;
use tempfile::{NamedTempFile, TempDir};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::{JoinHandle, yield_now},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::subscriber::DefaultGuard;

use crate::tokens::Token;

/// Public address of the gateway.
pub(crate) const EXTERNAL: &str = "203.0.113.7";

/// Long enough for any machine; a test that reaches it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that serves, with its log.
pub(crate) struct World {
    /// Where clients reach it.
    pub(crate) gateway: SocketAddr,
    /// Where its datagrams to agents come from.
    pub(crate) udp_source: SocketAddr,
    /// The Connection Manager's key that it knows.
    pub(crate) manager: KeyPair,
    folder: TempDir,
    log: NamedTempFile,
    logging: DefaultGuard,
    stop: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
    before: Before,
}

/// A session that is announced.
#[derive(Debug, Clone)]
pub(crate) struct Announced {
    pub(crate) agent: SocketAddr,
    pub(crate) tag: String,
    pub(crate) id: String,
}

/// What the gateway answers to an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Announced {
    /// Session with this number and a unique tag.
    pub(crate) fn new(number: u32, agent: SocketAddr) -> Self {
        Self {
            agent,
            tag: format!("SCS1tag-of-session-{number:06}"),
            id: format!("0b1c2d3e-0000-4000-8000-{number:012x}"),
        }
    }

    /// The message that announces it.
    pub(crate) fn xml(&self) -> String {
        let Self { agent, tag, id } = self;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-sg version=\"1.0\"><add-connection>\
             <ip-address>{}</ip-address><tcp-port>{}</tcp-port><ctag>{tag}</ctag>\
             <connection-id>{id}</connection-id></add-connection></pcoip-sg>",
            agent.ip(),
            agent.port()
        )
    }
}

impl Answer {
    /// The response that accepts the session.
    pub(crate) fn accepted(announced: &Announced) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-sg version=\"1.0\"><add-connection>\
             <result>ok</result><rtag>{}</rtag><sg-sni>pcoip-default-sg-sni</sg-sni>\
             </add-connection></pcoip-sg>",
            announced.tag
        );
        Self { status: 200, body }
    }

    /// The response that refuses the session.
    pub(crate) fn refused(status: u16, reason: &str) -> Self {
        let reason = reason.replace('\'', "&apos;");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><pcoip-sg version=\"1.0\"><add-connection>\
             <result>refused</result><reason>{reason}</reason></add-connection></pcoip-sg>"
        );
        Self { status, body }
    }
}

/// Files that remain in the gateway's directory: its keys and its journal.
const FILES: [&str; 5] = ["jwt.crt", "jwt.key", "security-gateway.journal", "tls.crt", "tls.key"];

/// Waits for something that is immediate on an idle machine.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("it comes in time")
}

/// A key and its certificate for these names, as `<name>.key` and `<name>.crt`.
pub(crate) fn identity(folder: &Path, name: &str, names: &[&str]) -> KeyPair {
    let key = KeyPair::generate().expect("a key can be made");
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let params = CertificateParams::new(names).expect("they are names");
    let certificate = params.self_signed(&key).expect("a certificate can be made");
    write(&folder.join(format!("{name}.crt")), &certificate.pem());
    write(&folder.join(format!("{name}.key")), &key.serialize_pem());
    key
}

#[expect(clippy::disallowed_methods, reason = "nobody reads a test's file that is half written")]
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file can be written");
}

impl World {
    /// A gateway with the defaults and these keys.
    pub(crate) async fn start(keys: &str) -> Self {
        let before = Before::story();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        identity(folder.path(), "tls", &["localhost", "pcoip-default-sg-sni"]);
        let manager = identity(folder.path(), "jwt", &["cm"]);
        let (log, logging) = logged();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let stop = CancellationToken::new();
        let ([gateway, udp_source], served) = serve(folder.path(), [any; 2], keys, &stop).await;
        Self { gateway, udp_source, manager, folder, log, logging, stop, served, before }
    }

    /// Restarts the gateway on the same ports.
    pub(crate) async fn restart(mut self, keys: &str) -> Self {
        self.stop.cancel();
        soon(self.served).await.expect("it does not panic").expect("it stops cleanly");
        self.stop = CancellationToken::new();
        let at = [self.gateway, self.udp_source];
        self.served = serve(self.folder.path(), at, keys, &self.stop).await.1;
        self
    }

    /// Stops the gateway, and checks that nothing is left.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        soon(self.served).await.expect("it does not panic").expect("it stops cleanly");
        drop((self.logging, self.log));
        let addresses = [self.gateway, self.udp_source];
        let place = Place { addresses: &addresses, folder: self.folder, files: &FILES };
        self.before.is_back(place).await;
    }

    /// The gateway's certificate, as PEM.
    pub(crate) fn certificate(&self) -> String {
        let path = self.folder.path().join("tls.crt");
        std::fs::read_to_string(path).expect("it was written")
    }

    /// The whole log, including DEBUG.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("the log can be read")
    }

    /// Waits until the log has that.
    pub(crate) async fn until_logged(&self, what: &str) {
        let logged = async {
            while !self.log().contains(what) {
                yield_now().await;
            }
        };
        assert!(timeout(PATIENCE, logged).await.is_ok(), "`{what}` is not logged: {}", self.log());
    }

    /// Announces a session, and checks that it is accepted.
    pub(crate) async fn announce(&self, announced: &Announced) {
        let token = Token::for_this(announced).signed(&self.manager);
        assert_eq!(self.post(&token, &announced.xml()).await, Answer::accepted(announced));
    }

    pub(crate) async fn post(&self, token: &str, body: &str) -> Answer {
        self.ask(&format!(
            "POST /pcoip-sg/xml HTTP/1.1\r\nHost: sg\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ))
        .await
    }

    /// One exchange on the unix socket.
    pub(crate) async fn ask(&self, request: &str) -> Answer {
        soon(async {
            let path = self.folder.path().join("sg.sock");
            let mut stream = UnixStream::connect(path).await.expect("the socket answers");
            // A request that is too long is answered before it was read completely.
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8(answer).expect("answers are text");
            let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
            let status = head.split(' ').nth(1).expect("a head has a status");
            Answer { status: status.parse().expect("it is a number"), body: body.to_owned() }
        })
        .await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.ask(&format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        assert_eq!(answer.status, 200);
        serde_json::from_str(&answer.body).expect("answers are JSON")
    }

    pub(crate) async fn status(&self) -> Status {
        self.get("/status").await
    }

    pub(crate) async fn turned_away(&self) -> TurnedAway {
        self.status().await.turned_away.expect("a gateway counts")
    }

    pub(crate) async fn connections(&self) -> Vec<Connection> {
        self.get::<Connections>("/connections").await.connections
    }

    /// The state of a session; `gone` without one.
    pub(crate) async fn state(&self, announced: &Announced) -> String {
        let connections = self.connections().await;
        let own = connections.into_iter().find(|connection| connection.id == announced.id);
        own.map_or("gone".to_owned(), |own| own.state)
    }

    /// Waits until a session has this state.
    pub(crate) async fn until_state(&self, announced: &Announced, state: &str) {
        soon(async {
            while self.state(announced).await != state {
                yield_now().await;
            }
        })
        .await;
    }

    /// Waits until this many sessions are in use, and this many are not.
    pub(crate) async fn until_usage(&self, usage: Usage) {
        soon(async {
            while self.status().await.usage != Some(usage) {
                yield_now().await;
            }
        })
        .await;
    }

    /// Waits until the counters of dropped datagrams and refused clients match.
    pub(crate) async fn until_turned_away(&self, like: impl Fn(&TurnedAway) -> bool) {
        let found = async {
            while !like(&self.turned_away().await) {
                yield_now().await;
            }
        };
        let found = timeout(PATIENCE, found).await.is_ok();
        assert!(found, "{:?}", self.turned_away().await);
    }
}

/// Binds these addresses (clients, source of datagrams) and serves.
async fn serve(
    folder: &Path,
    [listen, source]: [SocketAddr; 2],
    keys: &str,
    stop: &CancellationToken,
) -> ([SocketAddr; 2], JoinHandle<anyhow::Result<()>>) {
    let at = folder.display();
    let text = format!(
        "ExternalRoutableIP = {EXTERNAL}\nSslCertificate = {at}/tls.crt\nSslKey = {at}/tls.key\n\
         JwtVerifyingCertificate = {at}/jwt.crt\nDataDirectory = {at}\nRunDirectory = {at}\n\
         ListenAddress = {listen}\nUdpSourceAddress = {source}\n\
         AllowedAgents = 127.0.0.0/8\nAllowedAgents = ::1\n{keys}\n"
    );
    let config =
        SecurityGateway::read(&ConfFile::parse(&text)).expect("the configuration is right");
    let role = security_gateway::bind(config.value).await.expect("the gateway binds");
    let listens = role.listens();
    let bound = |key: &str| {
        let listen = listens.iter().find(|listen| listen.key == key);
        listen.expect("the gateway tells every listener").address
    };
    ([bound("pcoip"), bound("udp-source")], tokio::spawn(role.serve(stop.clone())))
}

/// Captures all log lines of this thread from now on in a file.
fn logged() -> (NamedTempFile, DefaultGuard) {
    let log = NamedTempFile::new().expect("a temporary file can be made");
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(log.reopen().expect("a file can be opened again"))
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}
