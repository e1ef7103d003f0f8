use std::io::{Read as _, Write as _};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream,
    crypto::aws_lc_rs,
    pki_types::PrivateKeyDer,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use super::*;

struct Peer {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

/// A self-signed certificate that only has a CN and is marked as a CA.
fn odd_peer() -> Peer {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "broker");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Peer { chain: vec![certificate.der().clone()], key }
}

/// A certificate for `localhost`, and the CA that issued it.
fn issued_peer() -> (Peer, CertificateDer<'static>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (Peer { chain: vec![certificate.der().clone()], key }, issuer.der().clone())
}

fn authorities(listed: &[CertificateDer<'static>]) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(listed.iter().cloned());
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()
}

fn reloaded(listed: &[CertificateDer<'static>], pins: &[Pin]) -> Reloaded {
    let upstream = Upstream::new(listed.to_vec(), pins.to_vec(), authorities(listed));
    Reloaded {
        algorithms: aws_lc_rs::default_provider().signature_verification_algorithms,
        upstream: Arc::new(ArcSwap::from_pointee(upstream)),
        refused: LastRefused::default(),
    }
}

/// A handshake in memory, with TLS 1.2 and 1.3. The error is that of the client side.
fn handshake(peer: &Peer, listed: &[CertificateDer<'static>], pins: &[Pin]) -> Result<(), String> {
    for version in [&TLS12, &TLS13] {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = reloaded(listed, pins);
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        let key = PrivateKeyDer::try_from(peer.key.serialize_der()).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let shown = SingleCertAndKey::from(CertifiedKey::new(peer.chain.clone(), key));
        let server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        shake(client, server)?;
    }
    Ok(())
}

fn shake(client: ClientConfig, server: ServerConfig) -> Result<(), String> {
    let (mut near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
    let server = std::thread::spawn(move || {
        let mut connection = ServerConnection::new(Arc::new(server)).unwrap();
        let _ = Stream::new(&mut connection, &mut far).write_all(b"hello");
        let _ = far.shutdown(std::net::Shutdown::Write);
    });
    let name = "localhost".try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut read = [0; 5];
    let outcome = Stream::new(&mut connection, &mut near).read_exact(&mut read);
    drop(near);
    server.join().unwrap();
    outcome.map_err(|error| error.to_string())
}

#[test]
fn any_listed_certificate_is_trusted() {
    let peer = odd_peer();

    assert_eq!(handshake(&peer, &peer.chain, &[]), Ok(()));
}

#[test]
fn any_pinned_certificate_or_key_is_trusted() {
    let peer = odd_peer();
    let key = key_info(&peer.chain[0]).unwrap();

    assert_eq!(handshake(&peer, &[], &[sha256(&peer.chain[0])]), Ok(()));
    assert_eq!(handshake(&peer, &[], &[sha256(&key)]), Ok(()));
}

#[test]
fn a_certificate_of_a_listed_ca_is_trusted() {
    let (peer, authority) = issued_peer();

    assert_eq!(handshake(&peer, &[authority], &[]), Ok(()));
}

#[test]
fn an_unknown_certificate_is_refused() {
    let other = odd_peer();
    let refused = handshake(&odd_peer(), &other.chain, &[sha256(&other.chain[0])]);

    assert!(refused.unwrap_err().contains("invalid peer certificate"));
}

#[test]
fn a_trusted_certificate_without_its_key_is_refused() {
    let trusted = odd_peer();
    let thief = Peer { chain: trusted.chain.clone(), key: KeyPair::generate().unwrap() };

    let refused = handshake(&thief, &trusted.chain, &[]);

    assert_eq!(refused.unwrap_err(), "invalid peer certificate: BadSignature");
}

#[test]
fn the_validity_period_is_the_cause_only_for_a_trusted_issuer() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let listed = [issuer.der().clone()];
    let reloaded = reloaded(&listed, &[]);
    let refused = |certificate: &CertificateDer<'_>| {
        let name = "localhost".try_into().unwrap();
        let verified = reloaded.verify_server_cert(certificate, &[], &name, &[], UnixTime::now());
        Refusal::new(certificate, &verified.unwrap_err(), false)
    };
    for years in [(2000, 2001), (2098, 2099)] {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);

        let issued = refused(params.signed_by(&key, &issuer).unwrap().der());
        let strangers = refused(params.self_signed(&key).unwrap().der());

        assert!(issued.is_about_time(), "{issued}");
        assert!(!strangers.is_about_time(), "{strangers}");
    }
}

#[test]
fn names_in_a_certificate_are_escaped_in_the_error_of_every_client() {
    let (_, authority) = issued_peer();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let forged = format!("b{}fix=x", " ".repeat(4000));
    let params = CertificateParams::new([forged]).unwrap();
    let stranger = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let listed = [authority, issuer.der().clone()];
    let reloaded = reloaded(&listed, &[]);
    let name = "localhost".try_into().unwrap();

    let error = reloaded
        .verify_server_cert(stranger.der(), &[], &name, &[], UnixTime::now())
        .unwrap_err()
        .to_string();

    assert!(!error.contains("  ") && !error.contains("fix="), "{error}");
    assert!(error.contains("localhost") && error.len() < 600, "{error}");
}
