use std::{path::PathBuf, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ClientConfig, ClientConnection, Connection, HandshakeKind, RootCertStore, ServerConfig,
    ServerConnection, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use tempfile::TempDir;

use super::super::{Trust, certificates, client_config, provider, server_config};
use crate::reload::Files;

/// A server with a self-signed certificate in a file.
struct Peer {
    folder: TempDir,
    files: Files,
    tls: Arc<ServerConfig>,
}

impl Peer {
    fn new() -> Self {
        let (folder, files) = (tempfile::tempdir().unwrap(), Files::default());
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        write(&folder, "cert.pem", &cert.pem());
        write(&folder, "key.pem", &signing_key.serialize_pem());
        let path = |name| folder.path().join(name);
        let tls = server_config(&path("cert.pem"), &path("key.pem"), &files).unwrap();
        Self { folder, files, tls }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let mut file = std::fs::File::create(folder.path().join(name)).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
}

/// Passes on what one end wants to send.
fn pass(from: &mut Connection, to: &mut Connection) -> Result<bool, rustls::Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).unwrap();
        to.process_new_packets()?;
    }
    Ok(!bytes.is_empty())
}

/// Connects, and returns whether the handshake was full or resumed a session.
fn connect(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
) -> Result<HandshakeKind, rustls::Error> {
    let name = "localhost".try_into().unwrap();
    let mut near = ClientConnection::new(Arc::clone(client), name).unwrap().into();
    let mut far = ServerConnection::new(Arc::clone(server)).unwrap().into();
    while pass(&mut near, &mut far)? | pass(&mut far, &mut near)? {}
    Ok(near.handshake_kind().expect("the handshake is complete"))
}

#[test]
fn thousands_of_clients_resume_their_sessions() {
    let peer = Peer::new();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&peer.certificate()).unwrap());
    let client = |version: &'static SupportedProtocolVersion| {
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap();
        Arc::new(client.with_root_certificates(roots.clone()).with_no_client_auth())
    };
    for version in [&TLS12, &TLS13] {
        let clients: Vec<_> = (0..600).map(|_| client(version)).collect();
        let kinds = || clients.iter().map(|client| connect(client, &peer.tls).unwrap());

        assert!(kinds().all(|kind| kind == HandshakeKind::Full));
        assert!(kinds().all(|kind| kind == HandshakeKind::Resumed), "{version:?}");
        assert!(kinds().all(|kind| kind == HandshakeKind::Resumed), "{version:?}, once more");
    }
}

#[test]
fn a_session_is_not_resumed_with_a_peer_that_is_no_longer_trusted() {
    let (peer, other) = (Peer::new(), Peer::new());
    let listed = peer.folder.path().join("trusted.pem");
    std::fs::copy(peer.certificate(), &listed).unwrap();
    let trust = Trust::Verify { ca_certificates: vec![listed.clone()], pins: Vec::new() };
    let client = client_config(&trust, &peer.files).unwrap();
    let kinds = [(); 2].map(|()| connect(&client, &peer.tls).unwrap());
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);

    std::fs::copy(other.certificate(), &listed).unwrap();
    peer.files.reload().unwrap();

    let refused = connect(&client, &peer.tls).unwrap_err();
    assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused}");
    assert_eq!(connect(&client, &other.tls), Ok(HandshakeKind::Full));
}

#[test]
fn a_suite_with_sha_256_is_preferred_upstream() {
    let peer = Peer::new();
    let client = client_config(&Trust::Off, &peer.files).unwrap();
    let mut near = ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap().into();
    let mut far = ServerConnection::new(Arc::clone(&peer.tls)).unwrap().into();
    while pass(&mut near, &mut far).unwrap() | pass(&mut far, &mut near).unwrap() {}

    let suite = near.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(suite, rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
}
