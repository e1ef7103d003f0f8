//! Both ends are the library's own, with buffers, as peers have them.

use std::net::Ipv4Addr;

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ConnectionCommon, ProtocolVersion, ServerConnection, SideData, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer},
    version::{TLS12, TLS13},
};
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;
use crate::{
    reload::Files,
    tls::{Trust, client_config, provider},
};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (connected, accepted) = tokio::join!(connecting, listener.accept());
    (connected.unwrap(), accepted.unwrap().0)
}

/// A server whose handshake messages and records have at most this size.
fn server_config(version: &'static SupportedProtocolVersion, most: usize) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = CertificateDer::from(certificate.self_signed(&key).unwrap());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.max_fragment_size = Some(most);
    Arc::new(config)
}

fn anyone() -> Arc<ClientConfig> {
    client_config(&Trust::Off, &Files::default()).unwrap()
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// A socket as the client, and a rustls server.
async fn client_of(config: Arc<ServerConfig>) -> (ClientSocket, server::TlsStream<TcpStream>) {
    let (near, far) = tcp().await;
    let connecting = ClientSocket::connect(near, anyone(), name());
    let accepting = TlsAcceptor::from(config).accept(far);
    let (near, far) = tokio::join!(connecting, accepting);
    (near.unwrap(), far.unwrap())
}

/// A socket as the server, and a rustls client.
async fn server_of(
    version: &'static SupportedProtocolVersion,
) -> (ServerSocket, client::TlsStream<TcpStream>) {
    let (near, far) = tcp().await;
    let accepting = ServerSocket::accept(near, server_config(version, 16_384));
    let connecting = TlsConnector::from(anyone()).connect(name(), far);
    let (near, far) = tokio::join!(accepting, connecting);
    (near.unwrap(), far.unwrap())
}

/// Bytes that differ from each other and from those of another seed.
fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 31 + at / 251 + seed) % 256).unwrap()).collect()
}

/// What a peer sends next.
fn records<S: SideData>(session: &mut ConnectionCommon<S>) -> Vec<u8> {
    let mut records = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut records).unwrap();
    }
    records
}

async fn read<S: Session>(socket: &mut TlsSocket<S>, length: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < length {
        assert_eq!(socket.read(&mut read).await.unwrap(), Received::Some);
    }
    read
}

#[tokio::test]
async fn bytes_of_any_length_arrive_in_both_directions_by_both_versions() {
    for version in VERSIONS {
        let (mut near, mut far) = server_of(version).await;
        for length in [1, 5, 16_383, 16_384, 16_385, 40_000, 300_000] {
            let (up, down) = (bytes(length, 1), bytes(length, 2));

            let sending = async {
                far.write_all(&up).await.unwrap();
                far.flush().await.unwrap();
            };
            let (arrived, ()) = tokio::join!(read(&mut near, length), sending);
            assert!(arrived == up, "{length} bytes");

            let mut arrived = vec![0; length];
            tokio::try_join!(near.write_all(&down), far.read_exact(&mut arrived)).unwrap();
            assert!(arrived == down, "{length} bytes");
        }
    }
}

#[tokio::test]
async fn handshake_messages_and_records_in_small_pieces_are_put_together() {
    for version in VERSIONS {
        // A session ticket of TLS 1.3 comes in several pieces after the handshake, too.
        let (mut near, mut far) = client_of(server_config(version, 32)).await;

        near.write_all(b"question").await.unwrap();
        let mut question = [0; 8];
        far.read_exact(&mut question).await.unwrap();
        far.write_all(&bytes(1000, 3)).await.unwrap();
        far.flush().await.unwrap();

        assert_eq!((&question, read(&mut near, 1000).await), (b"question", bytes(1000, 3)));
        assert!(near.incoming.is_empty());
    }
}

#[tokio::test]
async fn a_part_of_a_session_ticket_does_not_prevent_writing() {
    let (near, mut stream) = tcp().await;
    let mut session = ServerConnection::new(server_config(&TLS13, 32)).unwrap();
    let handshake = async {
        let mut received = [0; 4096];
        loop {
            let length = stream.read(&mut received).await.unwrap();
            let mut rest = &received[..length];
            while !rest.is_empty() {
                session.read_tls(&mut rest).unwrap();
                session.process_new_packets().unwrap();
            }
            let records = records(&mut session);
            if !session.is_handshaking() {
                return records;
            }
            stream.write_all(&records).await.unwrap();
        }
    };
    let (near, tickets) = tokio::join!(ClientSocket::connect(near, anyone(), name()), handshake);
    let mut near = near.unwrap();

    let mut received = Vec::new();
    for piece in tickets.chunks(tickets.len() / 7) {
        stream.write_all(piece).await.unwrap();
        assert_eq!(near.read(&mut received).await.unwrap(), Received::Some);
        near.write_all(b"more").await.unwrap();
    }
    io::Write::write_all(&mut session.writer(), b"done").unwrap();
    stream.write_all(&records(&mut session)).await.unwrap();

    assert_eq!((read(&mut near, 4).await, received), (b"done".to_vec(), Vec::new()));
}

#[tokio::test]
async fn a_record_that_arrives_byte_by_byte_is_one() {
    let (mut near, far) = server_of(&TLS13).await;
    let (mut stream, mut session) = far.into_inner();
    io::Write::write_all(&mut session.writer(), b"one record").unwrap();
    let record = records(&mut session);

    let mut arrived = Vec::new();
    for byte in record {
        assert!(arrived.is_empty());
        stream.write_all(&[byte]).await.unwrap();
        assert_eq!(near.read(&mut arrived).await.unwrap(), Received::Some);
    }

    assert_eq!(arrived, b"one record");
}

#[tokio::test]
async fn an_idle_connection_keeps_no_buffers() {
    let (mut near, mut far) = server_of(&TLS13).await;
    far.write_all(&bytes(100_000, 4)).await.unwrap();
    far.flush().await.unwrap();
    read(&mut near, 100_000).await;
    near.write_all(b"answer").await.unwrap();

    let kept = [&near.incoming, &*near.early, &near.outgoing].map(Vec::capacity);

    assert_eq!(kept, [0; 3]);
}

#[tokio::test]
async fn records_that_the_peer_does_not_read_are_kept_and_sent_later() {
    let (mut near, mut far) = server_of(&TLS13).await;
    SockRef::from(near.stream()).set_send_buffer_size(4096).unwrap();
    let block = bytes(READ, 5);

    let mut sent = 0;
    let is_blocked = poll_fn(|context| {
        while near.poll_flush(context)?.is_ready() {
            near.send(context, &block)?;
            sent += block.len();
        }
        Poll::Ready(io::Result::Ok(true))
    });
    assert!(is_blocked.await.unwrap());
    let kept = near.outgoing.len();
    let mut arrived = vec![0; sent];
    let flushing = poll_fn(|context| near.poll_flush(context));
    tokio::try_join!(flushing, far.read_exact(&mut arrived)).unwrap();

    assert!((1..=READ + 1024).contains(&kept), "{kept}");
    assert!(arrived.chunks(READ).all(|arrived| arrived == block));
    assert_eq!(near.outgoing.capacity(), 0);
}

#[tokio::test]
async fn either_end_may_still_send_after_the_other_has_closed() {
    for version in VERSIONS {
        let (mut near, mut far) = server_of(version).await;
        poll_fn(|context| near.poll_close(context)).await.unwrap();
        assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
        far.write_all(b"after").await.unwrap();
        far.flush().await.unwrap();
        assert_eq!(read(&mut near, 5).await, b"after");

        let (mut near, mut far) = server_of(version).await;
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut Vec::new()).await.unwrap(), Received::Closed);
        near.write_all(b"after").await.unwrap();
        let mut after = [0; 5];
        far.read_exact(&mut after).await.unwrap();
        assert_eq!(&after, b"after");
    }
}

#[tokio::test]
async fn a_peer_without_tls_gets_an_alert() {
    let (near, mut far) = tcp().await;
    far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();

    let error = ServerSocket::accept(near, server_config(&TLS13, 16_384)).await.err().unwrap();
    let mut alert = Vec::new();
    far.read_to_end(&mut alert).await.unwrap();

    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    assert!(matches!(inner, Some(rustls::Error::InvalidMessage(_))), "{error}");
    // Content type 21, version, length, and level 2: fatal.
    assert_eq!((alert[0], &alert[3..6]), (21, &[0, 2, 2][..]));
}

#[tokio::test]
async fn a_damaged_record_ends_the_connection_with_an_alert() {
    let (mut near, far) = server_of(&TLS13).await;
    let (mut stream, mut session) = far.into_inner();
    io::Write::write_all(&mut session.writer(), b"secret").unwrap();
    let record = records(&mut session);
    let mut record = record;
    *record.last_mut().unwrap() ^= 1;
    stream.write_all(&record).await.unwrap();

    let error = near.read(&mut Vec::new()).await.unwrap_err();
    drop(near);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    session.read_tls(&mut &answer[..]).unwrap();

    assert_eq!(error.to_string(), "cannot decrypt peer's message");
    let alert = rustls::AlertDescription::BadRecordMac;
    assert_eq!(session.process_new_packets(), Err(rustls::Error::AlertReceived(alert)));
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_handshake_is_an_error() {
    let (near, far) = tcp().await;
    drop(far);

    let error = ClientSocket::connect(near, anyone(), name()).await.err().unwrap();

    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_request_for_new_keys_is_answered() {
    let (mut near, far) = server_of(&TLS13).await;
    let (mut stream, mut session) = far.into_inner();
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    for piece in [b"old keys", b"new keys"] {
        io::Write::write_all(&mut session.writer(), piece).unwrap();
        session.refresh_traffic_keys().unwrap();
        stream.write_all(&records(&mut session)).await.unwrap();
    }
    assert_eq!(read(&mut near, 16).await, b"old keysnew keys");

    near.write_all(b"understood").await.unwrap();
    drop(near);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let mut rest = &answer[..];
    let mut plain = Vec::new();
    while !rest.is_empty() {
        session.read_tls(&mut rest).unwrap();
        session.process_new_packets().unwrap();
        let _ = io::Read::read_to_end(&mut session.reader(), &mut plain);
    }

    assert_eq!(plain, b"understood");
}
