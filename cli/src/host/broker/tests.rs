use std::{net::TcpListener, slice};

use rustls::{
    ServerConfig, ServerConnection,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
};

use super::*;
use crate::pki::generate::{self, Key, Pair, Request};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap()
}

fn pair() -> Pair {
    let names = vec!["127.0.0.1".to_owned()];
    generate::pair(&Request { key: Key::NewP256, names, now: now() }).unwrap()
}

/// A broker that answers one connect.
fn broker(pair: &Pair) -> HostPort {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pair.key.bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut stream).is_err() {
                return;
            }
        }
    });
    address.to_string().parse().unwrap()
}

#[test]
fn a_broker_that_nobody_vouches_for_is_seen_with_its_key() {
    let pair = pair();
    let certificate = &inspect::certificates(pair.certificate.bytes()).unwrap()[0];

    let fact = look(&broker(&pair), &[], now());

    let BrokerFact::Seen(seen) = fact else { panic!("{fact:?}") };
    assert_eq!(seen.key, sha256(&certificate.key.info));
    assert_eq!(seen.certificate, sha256(&certificate.der));
    assert_eq!(seen.names, "127.0.0.1");
    assert!(seen.trouble.is_some());
}

#[test]
fn a_listed_certificate_is_trusted_as_it_is() {
    let pair = pair();

    let fact = look(&broker(&pair), slice::from_ref(&pair.certificate), now());

    assert!(matches!(fact, BrokerFact::Seen(Seen { trouble: None, .. })), "{fact:?}");
}

#[test]
fn a_broker_that_does_not_speak_tls_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    thread::spawn(move || drop(silent.accept()));

    for address in [closed, address] {
        let fact = look(&address.to_string().parse().unwrap(), &[], now());

        assert!(matches!(fact, BrokerFact::Unreachable(_)), "{fact:?}");
    }
}

#[test]
fn names_in_a_certificate_cannot_add_a_line_nor_move_the_cursor() {
    let name = format!("b\n  certificate: 0\u{1b}[1A{}", " ".repeat(4000));
    let key = rcgen::KeyPair::generate().unwrap();
    for in_subject in [false, true] {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, &*name);
        if !in_subject {
            params.subject_alt_names =
                vec![rcgen::SanType::DnsName(name.as_str().try_into().unwrap())];
        }
        let leaf = params.self_signed(&key).unwrap().der().clone();

        let seen = judge(&"b.example:443".parse().unwrap(), &[leaf], &[], now()).unwrap();

        assert!(seen.names.contains("b\\u{a}\\u{20}\\u{20}certificate"), "{:?}", seen.names);
        assert!(seen.names.len() < 260, "{}", seen.names);
        let trouble = seen.trouble.unwrap();
        assert!(!trouble.contains(char::is_control), "{trouble:?}");
    }
}
