//! Agents to which the gateway cannot connect: the log has the cause, but not the address.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, IsCa, Issuer};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

use super::*;

/// An agent that does this with its first connection.
async fn agent<F>(what: impl FnOnce(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { what(listener.accept().await.unwrap().0).await });
    address
}

/// Connects a client for this agent, and returns the logged warning.
async fn warning(keys: &str, agent: SocketAddr) -> String {
    warning_of(keys, &announcement(1, agent)).await
}

async fn warning_of(keys: &str, announced: &AddConnection) -> String {
    let (log, _guard) = logged();
    let world = World::serving(&format!("{LOOPBACK}{keys}")).await;
    world.announce_as(announced, 1).await;
    let agent = announced.agent;
    let mut control = world.connect().await;
    control.write_all(&hello(1, *b"spi1")).await.unwrap();

    assert!(is_closed(&mut control).await, "the client is closed");
    world.until(|connection| connection.state == "waiting").await;
    world.stop().await;

    let log = std::fs::read_to_string(log.path()).unwrap();
    let lines: Vec<_> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    let [line] = lines[..] else { panic!("{log}") };
    let rest = line.replacen(" client=127.0.0.1", "", 1);
    assert!(rest.len() < line.len(), "the client is named: {line}");
    assert!(!rest.contains("127.0.0.1"), "{line}");
    assert!(log.contains(&format!("agent={agent}")), "at debug: {log}");
    let (_, message) = line.split_once("relay: ").unwrap();
    let (_, error) = message.split_once("error=").unwrap();
    assert!(message.starts_with("Failed to connect to the agent session=0b1c2d3e-"), "{line}");
    error.trim_matches('"').to_owned()
}

/// A certificate that a CA issued for a name, and the CA's certificate.
fn signed(folder: &Path) -> (TlsAcceptor, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let own = KeyPair::generate().unwrap();
    let name = CertificateParams::new(["agent.example".to_owned()]).unwrap();
    let certificate = name.signed_by(&own, &issuer).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    };
    let own = file("own.key", own.serialize_pem());
    let config =
        server_config(&file("own.crt", certificate.pem()), &own, &Files::default()).unwrap();
    (TlsAcceptor::from(config), file("root.crt", root.pem()))
}

#[tokio::test]
async fn an_agent_that_does_not_listen_is_reported() {
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let told = warning("", away).await;

    assert_eq!(
        told,
        "connecting to the agent: the connection was refused (Connection refused, os error 111)"
    );
}

#[tokio::test]
async fn an_agent_without_tls_is_reported() {
    let plain = agent(|stream| async { drop(stream) }).await;
    let told = warning("", plain).await;
    assert!(told.starts_with("TLS handshake with the agent: "), "{told}");

    let garbage = agent(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let told = warning("", garbage.await).await;
    assert!(
        told.starts_with("TLS handshake with the agent: the peer does not speak TLS on this port"),
        "{told}"
    );
}

#[tokio::test]
async fn an_agent_that_stalls_in_the_handshake_times_out() {
    let silent = agent(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });

    let told = warning("TlsHandshakeSeconds = 1", silent.await).await;

    assert!(told.starts_with("the TLS handshake with the agent timed out"), "{told}");
}

#[tokio::test]
async fn an_untrusted_certificate_of_an_agent_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, root) = signed(folder.path());
    let refused = |tls: TlsAcceptor| {
        agent(|stream| async move {
            assert!(tls.accept(stream).await.is_err());
        })
    };

    let told = warning("AgentCertCheck = true", refused(tls.clone()).await).await;
    let stranger = "TLS handshake with the agent: its certificate cannot be verified: it was not issued by a trusted authority (invalid peer certificate: UnknownIssuer)";
    assert_eq!(told, stranger);

    let keys = format!("AgentCertCheck = true\nCaCertificate = {}", root.display());
    let told = warning(&keys, refused(tls).await).await;
    let name = "TLS handshake with the agent: its certificate is not for its announced name or address, nor for `AgentSni`";
    assert_eq!(told, name);
}

#[tokio::test]
async fn a_certificate_with_names_is_verified_against_the_announced_name() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, root) = signed(folder.path());
    let keys = format!("AgentCertCheck = true\nCaCertificate = {}", root.display());
    let (tell, told) = tokio::sync::oneshot::channel();
    let accepting = tls.clone();
    let good = agent(|stream| async move {
        let stream = accepting.accept(stream).await.unwrap();
        tell.send(stream.get_ref().1.server_name().map(str::to_owned)).unwrap();
        answer_with(stream).await;
    });
    let good = good.await;
    let named = |name: &str, agent| AddConnection {
        hostname: Some(name.parse().unwrap()),
        ..announcement(1, agent)
    };
    let world = World::serving(&format!("{LOOPBACK}{keys}")).await;
    world.announce_as(&named("Agent.Example", good), 1).await;
    let mut control = world.connect().await;
    control.write_all(&hello(1, *b"spi1")).await.unwrap();

    assert_eq!(read(&mut control, 3).await, b"HI!");
    assert_eq!(soon(told).await.unwrap(), None, "no name is sent unless `AgentSni` says so");
    world.stop().await;

    let other = agent(|stream| async move {
        assert!(tls.accept(stream).await.is_err());
    });
    let told = warning_of(&keys, &named("other.example", other.await)).await;
    let wrong = "TLS handshake with the agent: its certificate is not for its announced name or \
                 address, nor for `AgentSni`";
    assert_eq!(told, wrong);
}

#[tokio::test]
async fn an_agent_that_requires_a_client_certificate_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (_, root) = signed(folder.path());
    let (certificate, key) = identity(&folder, "agent");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(certificate).unwrap()],
            PrivateKeyDer::from_pem_file(key).unwrap(),
        )
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let strict = agent(|stream| async move {
        let _ = tls.accept(stream).await;
    });

    let told = warning("", strict.await).await;

    assert_eq!(
        told,
        "the agent closed the connection at once: the peer refused the TLS handshake (received fatal alert: CertificateRequired)"
    );
}
