//! A gateway with real sockets, and minimal agents and clients.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
};

use cmsg_config::{
    ConfFile, SecurityGateway,
    socket::{self, Connection},
};
use cmsg_proto::{
    SessionTag,
    control::{AddConnection, Claims, Reply},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use tempfile::{NamedTempFile, TempDir};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::{
    clock,
    reload::Files,
    tls::{Trust, client_config, server_config},
    token::Signer,
};

mod announcing;
mod control;
mod failover;
mod granting;
mod https;
mod refusing;
mod relaying;
mod reloading;
mod restarting;
mod trains;

const EXTERNAL: &str = "203.0.113.7";

/// Long enough for any machine; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

struct World {
    folder: TempDir,
    signer: Signer,
    role: Option<SecurityGatewayRole>,
    listens: Vec<Listen>,
    stop: CancellationToken,
    served: Option<JoinHandle<anyhow::Result<()>>>,
}

/// An agent that answers every message in upper case, on the same TCP and UDP port.
struct Agent {
    address: SocketAddr,
}

fn write(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

/// Creates a key and its certificate, as `<name>.key` and `<name>.crt`.
fn identity(folder: &TempDir, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let certificate = write(folder, &format!("{name}.crt"), &certificate.pem());
    (certificate, write(folder, &format!("{name}.key"), &key.serialize_pem()))
}

/// A configuration that allows agents on this host, unless the additional lines override it.
fn config(folder: &TempDir, more: &str) -> SecurityGateway {
    SecurityGateway::read(&ConfFile::parse(&conf(folder, more))).unwrap().value
}

/// The text of the configuration.
fn conf(folder: &TempDir, more: &str) -> String {
    let at = folder.path().display();
    let allowed = match more.contains("AllowedAgents") {
        true => "",
        false => "AllowedAgents = 127.0.0.0/8\nAllowedAgents = ::1\n",
    };
    format!(
        "ExternalRoutableIP = {EXTERNAL}\nSslCertificate = {at}/tls.crt\nSslKey = {at}/tls.key\n\
         JwtVerifyingCertificate = {at}/jwt.crt\nDataDirectory = {at}\n\
         RunDirectory = {at}\n{allowed}{more}\n"
    )
}

const LOOPBACK: &str = "ListenAddress = 127.0.0.1:0\nUdpSourceAddress = 127.0.0.1:0\n";

fn upper(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_uppercase()
}

/// Captures all log lines of this thread from now on in a file.
fn logged() -> (NamedTempFile, DefaultGuard) {
    let log = NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(log.reopen().unwrap())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

impl World {
    async fn new(more: &str) -> Self {
        Self::new_with(more, 2).await
    }

    /// A gateway with this number of workers.
    async fn new_with(more: &str, workers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        identity(&folder, "tls");
        let (_, key) = identity(&folder, "jwt");
        let role = bind_with(config(&folder, more), workers).await.unwrap();
        Self {
            signer: Signer::load(&key).unwrap(),
            listens: role.listens(),
            role: Some(role),
            folder,
            stop: CancellationToken::new(),
            served: None,
        }
    }

    /// Starts a gateway and serves it.
    async fn serving(more: &str) -> Self {
        Self::serving_with(more, 2).await
    }

    async fn serving_with(more: &str, workers: usize) -> Self {
        let mut world = Self::new_with(more, workers).await;
        let role = world.role.take().unwrap();
        world.served = Some(tokio::spawn(role.serve(world.stop.clone())));
        world
    }

    fn address(&self, key: &str, transport: &str) -> SocketAddr {
        let found = self.listens.iter().find(|l| l.key == key && l.transport == transport);
        let mut address = found.unwrap().address;
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        address
    }

    async fn stop(mut self) {
        self.stop.cancel();
        soon(self.served.take().unwrap()).await.unwrap().unwrap();
    }

    /// Sends a request to the unix socket; returns status and body.
    async fn ask(&self, request: String) -> (u16, String) {
        let run = self.folder.path().to_owned();
        let asking = tokio::task::spawn_blocking(move || {
            let mut stream = socket::connect(&run, Role::Sg).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = soon(asking).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn post(&self, token: &str, body: &str) -> (u16, String) {
        let length = body.len();
        self.ask(format!(
            "POST /pcoip-sg/xml HTTP/1.1\r\nHost: sg.sock\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
        .await
    }

    fn token(&self, announced: &AddConnection, random: u8) -> String {
        let gateway = EXTERNAL.parse().unwrap();
        let claims = Claims::of(announced, gateway, [random; 16], clock::wall());
        self.signer.sign(&claims).unwrap()
    }

    /// Announces a session, and checks that it is accepted.
    async fn announce(&self, number: u8, agent: SocketAddr) {
        self.announce_as(&announcement(number, agent), number).await;
    }

    async fn announce_as(&self, announced: &AddConnection, random: u8) {
        let (status, body) = self.post(&self.token(announced, random), &announced.render()).await;
        assert_eq!(status, 200, "{body}");
        assert!(matches!(Reply::parse(body.as_bytes()), Ok(Reply::Accepted { .. })), "{body}");
    }

    async fn status(&self) -> Status {
        let run = self.folder.path().to_owned();
        let asking =
            tokio::task::spawn_blocking(move || socket::get(&run, Role::Sg, "/status", PATIENCE));
        soon(asking).await.unwrap().unwrap()
    }

    async fn connections(&self) -> Vec<Connection> {
        let run = self.folder.path().to_owned();
        let asking = tokio::task::spawn_blocking(move || {
            socket::get::<Connections>(&run, Role::Sg, "/connections", PATIENCE)
        });
        soon(asking).await.unwrap().unwrap().connections
    }

    /// Waits until the only session matches.
    async fn until(&self, like: impl Fn(&Connection) -> bool) {
        soon(async {
            loop {
                let connections = self.connections().await;
                if connections.len() == 1 && like(&connections[0]) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_to(self.address("pcoip", "tcp")).await
    }

    async fn connect_to(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address).await.unwrap();
        let tls = TlsConnector::from(client_config(&Trust::Off, &Files::default()).unwrap());
        let name = ServerName::try_from("pcoip-default-sg-sni").unwrap();
        soon(tls.connect(name, stream)).await.unwrap()
    }

    /// Sends a datagram to the gateway until the agent's response arrives.
    async fn exchange(&self, socket: &UdpSocket, datagram: &[u8]) -> Vec<u8> {
        let gateway = self.address("pcoip", "udp");
        let mut answer = [0; 2048];
        soon(async {
            loop {
                socket.send_to(datagram, gateway).await.unwrap();
                // The first ones are dropped until the gateway knows their session.
                let wait = timeout(Duration::from_millis(200), socket.recv_from(&mut answer));
                if let Ok(received) = wait.await {
                    let (length, from) = received.unwrap();
                    assert_eq!(from, gateway);
                    return answer[..length].to_vec();
                }
            }
        })
        .await
    }
}

fn tag(number: u8) -> SessionTag {
    SessionTag::parse(&format!("SCS1tag-of-session-{number}")).unwrap()
}

fn announcement(number: u8, agent: SocketAddr) -> AddConnection {
    let id = format!("0b1c2d3e-0000-4000-8000-{number:012x}");
    let connection_id = id.parse().unwrap();
    AddConnection { agent, hostname: None, tag: tag(number), connection_id, session_key: None }
}

/// First plaintext of a client, in an unknown layout, with an SPI.
fn hello(number: u8, spi: [u8; 4]) -> Vec<u8> {
    [b"hi!", tag(number).expose().as_bytes(), b"|more|", &spi].concat()
}

async fn read(stream: &mut TlsStream<TcpStream>, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    soon(stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

async fn is_closed(stream: &mut TlsStream<TcpStream>) -> bool {
    matches!(soon(stream.read(&mut [0; 16])).await, Ok(0) | Err(_))
}

async fn client_socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

impl Agent {
    async fn start(folder: &TempDir) -> Self {
        Self::start_at(folder, "127.0.0.1:0").await
    }

    async fn start_at(folder: &TempDir, address: &str) -> Self {
        let (certificate, key) = identity(folder, "agent");
        let tls = TlsAcceptor::from(server_config(&certificate, &key, &Files::default()).unwrap());
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind(address).await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = tcp.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = tcp.accept().await.unwrap();
                tokio::spawn(answer(tls.clone(), stream));
            }
        });
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                udp.send_to(&upper(&buffer[..length]), from).await.unwrap();
            }
        });
        Self { address }
    }
}

async fn answer(tls: TlsAcceptor, stream: TcpStream) {
    let Ok(stream) = tls.accept(stream).await else { return };
    answer_with(stream).await;
}

async fn answer_with(mut stream: tokio_rustls::server::TlsStream<TcpStream>) {
    let mut buffer = [0; 2048];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        stream.write_all(&upper(&buffer[..length])).await.unwrap();
        stream.flush().await.unwrap();
    }
    let _ = stream.shutdown().await;
}
