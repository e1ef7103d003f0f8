//! A client whose exact bytes a test controls and sees.

use std::{net::IpAddr, sync::Arc, time::Duration};

use e2e::leaks;
use pcoip_cmsgd::{
    reload::Files,
    tls::{Trust, client_config},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::world::{Announced, World, soon};

pub(crate) struct Client(pub(crate) TlsStream<TcpStream>);

/// First plaintext of a client, in an unknown layout, with an SPI.
pub(crate) fn hello(announced: &Announced, spi: &str) -> Vec<u8> {
    assert_eq!(spi.len(), 4);
    [b"hi!", announced.tag.as_bytes(), b"|more|", spi.as_bytes()].concat()
}

/// The same in the documented layout.
pub(crate) fn chunks(announced: &Announced, spi: &str) -> Vec<u8> {
    let mut body = b"ssig\0\0\0\x04\0\0\0\0".to_vec();
    let chunks = [("ctag", announced.tag.as_bytes()), ("2spi", spi.as_bytes())];
    for (name, data) in chunks {
        body.extend(name.as_bytes());
        body.extend(u32::try_from(data.len()).expect("it is short").to_be_bytes());
        body.extend(data);
    }
    [&(body.len() as u64).to_be_bytes(), body.as_slice()].concat()
}

/// The TLS settings of clients, which do not verify the gateway's certificate.
pub(crate) fn connector() -> TlsConnector {
    TlsConnector::from(client_config(&Trust::Off, &Files::default()).expect("TLS can be set up"))
}

/// TCP to the gateway from an address of the loopback.
pub(crate) async fn tcp(world: &World, from: &str) -> TcpStream {
    let ip: IpAddr = from.parse().expect("it is an address");
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    leaks::own(&socket);
    socket.bind((ip, 0).into()).expect("the whole of 127.0.0.0/8 is this host's");
    soon(socket.connect(world.gateway)).await.expect("the gateway listens")
}

/// A socket for datagrams at an address of the loopback.
pub(crate) async fn udp(from: &str) -> UdpSocket {
    let socket = UdpSocket::bind(format!("{from}:0")).await.expect("a socket can be bound");
    leaks::own(&socket);
    socket
}

pub(crate) fn name(text: &str) -> ServerName<'static> {
    ServerName::try_from(text.to_owned()).expect("it is a server name")
}

impl Client {
    pub(crate) async fn connect(world: &World) -> Self {
        Self::connect_from(world, "127.0.0.1").await
    }

    pub(crate) async fn connect_from(world: &World, from: &str) -> Self {
        Self::over(tcp(world, from).await, connector()).await
    }

    pub(crate) async fn with(world: &World, config: ClientConfig) -> Self {
        Self::over(tcp(world, "127.0.0.1").await, TlsConnector::from(Arc::new(config))).await
    }

    async fn over(stream: TcpStream, connector: TlsConnector) -> Self {
        let stream = soon(connector.connect(name("pcoip-default-sg-sni"), stream)).await;
        Self(stream.expect("the gateway speaks TLS"))
    }

    /// Connects, and waits for the agent's response.
    pub(crate) async fn through(world: &World, announced: &Announced, spi: &str) -> Self {
        Self::through_from(world, announced, spi, "127.0.0.1").await
    }

    pub(crate) async fn through_from(
        world: &World,
        announced: &Announced,
        spi: &str,
        from: &str,
    ) -> Self {
        let mut client = Self::connect_from(world, from).await;
        client.passes(&hello(announced, spi)).await;
        client
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) {
        soon(self.0.write_all(bytes)).await.expect("the gateway takes bytes");
        soon(self.0.flush()).await.expect("the gateway takes bytes");
    }

    pub(crate) async fn hear(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        soon(self.0.read_exact(&mut bytes)).await.expect("the agent's bytes come");
        bytes
    }

    /// Sends bytes that an echoing agent returns.
    pub(crate) async fn passes(&mut self, bytes: &[u8]) {
        self.say(bytes).await;
        self.answers(bytes).await;
    }

    /// Checks that the agent receives all bytes.
    pub(crate) async fn answers(&mut self, bytes: &[u8]) {
        let answer = self.hear(bytes.len()).await;
        assert_eq!(
            String::from_utf8_lossy(&answer),
            String::from_utf8_lossy(&bytes.to_ascii_uppercase())
        );
    }

    /// Checks that the gateway closes the connection without sending anything.
    pub(crate) async fn is_closed(&mut self) {
        let mut rest = [0; 64];
        if let Ok(length @ 1..) = soon(self.0.read(&mut rest)).await {
            panic!("bytes came: {:?}", &rest[..length]);
        }
    }
}

/// Sends datagrams until the response to the last one arrives, since the first ones are dropped
/// until the gateway knows their session. Returns the response.
pub(crate) async fn exchange(world: &World, socket: &UdpSocket, datagram: &[u8]) -> String {
    let mut answer = vec![0; 65_536];
    let length = soon(async {
        loop {
            socket.send_to(datagram, world.gateway).await.expect("a datagram leaves");
            let wait = timeout(Duration::from_millis(200), socket.recv_from(&mut answer));
            if let Ok(received) = wait.await {
                let (length, from) = received.expect("a datagram comes");
                assert_eq!(from, world.gateway, "it comes from where the client sent to");
                break length;
            }
        }
    })
    .await;
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// The datagrams that have already arrived.
pub(crate) fn received(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    std::iter::from_fn(|| {
        let length = socket.try_recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    })
    .collect()
}
