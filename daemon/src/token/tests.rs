use std::io::Write as _;

use cmsg_proto::{SessionKey, SessionTag, Time, control::AddConnection};
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256,
};
use rustls::pki_types::pem::PemObject as _;
use tempfile::NamedTempFile;

use super::*;

/// A key in the format of `openssl ecparam -genkey`, only used in these tests.
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIO3WNlXqKkB+I1s6o1RdyEowoE7Ym01M3hJC/GsGfN1HoAoGCCqGSM49
AwEHoUQDQgAEcPQFeUnZJp+V/gcCjmgNHwh3ZivPhtXqRhagC3gazM1FiJ1EL0yC
YqSlLnO8IaL665rSgHF6Z/es9DCzDSrvmg==
-----END EC PRIVATE KEY-----
";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn certificate(key: &KeyPair) -> String {
    CertificateParams::new(["cm.example".to_owned()]).unwrap().self_signed(key).unwrap().pem()
}

fn signer(key: &KeyPair) -> Signer {
    Signer::load(file(&key.serialize_pem()).path()).unwrap()
}

fn verifier(certificates: &[String]) -> Verifier {
    Verifier::load(file(&certificates.concat()).path()).unwrap()
}

fn p256() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn rsa() -> KeyPair {
    KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()
}

fn claims() -> Claims {
    let announced = AddConnection {
        agent: "10.0.0.5:4172".parse().unwrap(),
        hostname: None,
        tag: SessionTag::parse("SCS1abc").unwrap(),
        connection_id: "0b1c2d3e-0000-4000-8000-00000000000a".parse().unwrap(),
        session_key: None,
    };
    let now = Time::from_millis(1_800_000_000_000);
    Claims::of(&announced, "203.0.113.7".parse().unwrap(), [7; 16], now)
}

#[test]
fn each_of_several_managers_is_verified_by_its_own_key() {
    let keys = [p256(), rsa(), p256()];
    let verifier = verifier(&[certificate(&keys[0]), certificate(&keys[1])]);

    for key in &keys[..2] {
        let token = signer(key).sign(&claims()).unwrap();
        assert_eq!(verifier.verify(&token).unwrap(), claims());
    }
    let stranger = signer(&keys[2]).sign(&claims()).unwrap();
    assert_eq!(
        verifier.verify(&stranger).unwrap_err().to_string(),
        "the token is not signed with a known key"
    );
}

#[test]
fn a_sec1_key_signs_too() {
    let private = PrivateKeyDer::from_pem_slice(SEC1.as_bytes()).unwrap();
    let key = KeyPair::from_der_and_sign_algo(&private, &PKCS_ECDSA_P256_SHA256).unwrap();

    let token = Signer::load(file(SEC1).path()).unwrap().sign(&claims()).unwrap();

    assert_eq!(verifier(&[certificate(&key)]).verify(&token).unwrap(), claims());
}

#[test]
fn an_rsa_key_after_its_certificate_or_in_utf_16_signs() {
    let key = rsa();
    let text = format!("\u{feff}{}{}", certificate(&key), key.serialize_pem());
    let mut utf16 = NamedTempFile::new().unwrap();
    utf16.write_all(&text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();

    for file in [file(&text), utf16] {
        let token = Signer::load(file.path()).unwrap().sign(&claims()).unwrap();

        assert_eq!(Verifier::load(file.path()).unwrap().verify(&token).unwrap(), claims());
    }
}

#[test]
fn a_file_with_a_certificate_that_readers_skip_is_refused() {
    let [one, two] = [p256(), p256()].map(|key| certificate(&key));
    let glued = file(&format!("{}{two}", one.trim_end()));

    let why = format!("{:#}", Verifier::load(glued.path()).unwrap_err());

    assert!(why.contains("contains a second PEM marker"), "{why}");
    assert!(why.contains("sed -E"), "{why}");
}

#[test]
fn the_token_does_not_choose_the_algorithm() {
    let key = p256();
    let verifier = verifier(&[certificate(&key)]);
    let secret = EncodingKey::from_secret(key.public_key_raw());
    let hmac = encode(&Header::new(Algorithm::HS256), &claims(), &secret).unwrap();
    let signed = signer(&key).sign(&claims()).unwrap();
    let (_, rest) = signed.split_once('.').unwrap();
    let (payload, _) = rest.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.");

    for token in [hmac, unsigned, String::new(), "a.b.c".to_owned(), "x".repeat(5000)] {
        assert!(verifier.verify(&token).is_err(), "{token}");
    }
}

#[test]
fn a_modified_token_is_refused() {
    let key = p256();
    let verifier = verifier(&[certificate(&key)]);
    let token = signer(&key).sign(&claims()).unwrap();
    let middle = token.len() / 2;

    for (at, byte) in
        [(middle, 'A'), (middle, 'B'), (token.len() - 10, 'A'), (token.len() - 10, 'B')]
    {
        let mut changed = token.clone();
        changed.replace_range(at..=at, &byte.to_string());
        if changed != token {
            assert!(verifier.verify(&changed).is_err());
        }
    }
}

#[test]
fn expired_claims_are_returned_for_the_rules_to_check() {
    let key = p256();
    let old = Claims { iat: 1, exp: 2, ..claims() };
    let token = signer(&key).sign(&old).unwrap();

    assert_eq!(verifier(&[certificate(&key)]).verify(&token).unwrap(), old);
}

#[test]
fn unsupported_keys_are_refused_when_they_are_loaded() {
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();

    let signing = Signer::load(file(&p384.serialize_pem()).path()).unwrap_err();
    let verifying = Verifier::load(file(&certificate(&p384)).path()).unwrap_err();
    let empty = Verifier::load(file("").path()).unwrap_err();

    assert_eq!(signing.chain().nth(1).unwrap().to_string(), "the key is neither P-256 nor RSA");
    assert_eq!(verifying.root_cause().to_string(), "the public key is neither P-256 nor RSA");
    assert!(format!("{empty:#}").contains("contains no PEM certificate"), "{empty:#}");
}

mod grants;
