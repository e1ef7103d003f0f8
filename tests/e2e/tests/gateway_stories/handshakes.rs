//! Connections to TCP 4172 that fail before the tag.

use std::{sync::Arc, time::Duration};

use e2e::leaks;
use pcoip_cmsgd::{
    reload::Files,
    tls::{Trust, client_config},
};
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    time::sleep,
};
use tokio_rustls::TlsConnector;

use crate::{
    agents::Agent,
    client::{Client, connector, hello, name, tcp},
    world::{Announced, World, soon},
};

async fn world(keys: &str) -> (World, Announced) {
    let world = World::start(keys).await;
    let agent = Agent::start("-a").await;
    let announced = Announced::new(1, agent.address);
    world.announce(&announced).await;
    (world, announced)
}

#[tokio::test]
async fn plain_bytes_are_closed_and_counted_and_nobody_else_notices() {
    let (world, announced) = world("TlsHandshakeSeconds = 1").await;
    let mut client = Client::through(&world, &announced, "spi1").await;
    let tag = announced.tag.as_bytes();
    let silent: &[u8] = b"";

    let plain = [b"GET / HTTP/1.1\r\n\r\n", tag, b"\x16\x03\x01\xff\xff", &[0xff; 4096], silent];
    for (number, bytes) in (1..).zip(plain) {
        let mut stream = tcp(&world, "127.0.0.1").await;
        // The gateway may close the connection before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = soon(stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty() || answer.starts_with(b"\x15\x03"), "an alert: {answer:?}");
        world.until_turned_away(|turned| turned.clients.no_tls == number).await;
    }

    client.passes(b"still here").await;
    world.stop().await;
}

#[tokio::test]
async fn a_slow_handshake_is_waited_for() {
    let (world, announced) = world("").await;
    let (near, far) = duplex(16 * 1024);
    let (mut from_client, mut to_client) = tokio::io::split(far);
    let stream = tcp(&world, "127.0.0.1").await;
    stream.set_nodelay(true).unwrap();
    let (mut from_gateway, mut to_gateway) = stream.into_split();
    leaks::spawn(async move {
        while let Ok(byte) = from_client.read_u8().await {
            if to_gateway.write_u8(byte).await.is_err() {
                return;
            }
            sleep(Duration::from_micros(100)).await;
        }
    });
    leaks::spawn(async move {
        let _ = tokio::io::copy(&mut from_gateway, &mut to_client).await;
    });

    let handshake = connector().connect(name("pcoip-default-sg-sni"), near);
    let mut stream = soon(handshake).await.expect("it is waited for");
    let first = hello(&announced, "spi1");
    stream.write_all(&first).await.unwrap();

    let mut answer = vec![0; first.len()];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer, first.to_ascii_uppercase());
    world.stop().await;
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let (world, announced) = world("").await;
    let table = [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)];
    for (version, spoken) in table {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(world.certificate().as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();

        let mut client = Client::with(&world, config).await;

        client.passes(&hello(&announced, "spi1")).await;
        assert_eq!(client.0.get_ref().1.protocol_version(), Some(spoken));
    }
    world.stop().await;
}

#[tokio::test]
async fn the_server_name_that_a_client_asks_for_does_not_matter() {
    let (world, announced) = world("").await;
    let long = [&*"a".repeat(63), &"b".repeat(63), &"c".repeat(63), &"d".repeat(61)].join(".");
    let names =
        ["pcoip-default-sg-sni", "localhost", "UPPER_case.example", "127.0.0.1", "::1", &long];
    for asked in names {
        let connector = TlsConnector::from(client_config(&Trust::Off, &Files::default()).unwrap());
        let stream = tcp(&world, "127.0.0.1").await;

        let stream = soon(connector.connect(name(asked), stream)).await.expect(asked);

        Client(stream).passes(&hello(&announced, "spi1")).await;
    }
    world.stop().await;
}
