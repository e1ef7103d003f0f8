use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, SignatureAlgorithm,
};

use super::*;

/// RSA with 1024 bits, which no library of ours makes.
const SHORT: &str = include_str!("rsa-1024.crt");
const NOW: i64 = 1_900_000_000;

fn at(days: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap() + Duration::days(days)
}

/// Certificate and key, valid between two days from now.
fn pair(algorithm: &'static SignatureAlgorithm, from: i64, until: i64) -> (String, String) {
    let key = KeyPair::generate_for(algorithm).unwrap();
    let mut parameters = CertificateParams::new(vec!["cm.example".to_owned()]).unwrap();
    parameters.not_before = at(from);
    parameters.not_after = at(until);
    (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn ids(certificate: &str, key: &str) -> Vec<&'static str> {
    let certificate = Named { setting: "ssl-cert", bytes: certificate.as_bytes() };
    let key = Named { setting: "ssl-key", bytes: key.as_bytes() };
    tls(certificate, key, at(0)).into_iter().map(|finding| finding.id).collect()
}

#[test]
fn each_rule_has_its_finding() {
    let (good, key) = pair(&PKCS_RSA_SHA256, -1, 300);
    let other = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap().serialize_pem();
    let soon = pair(&PKCS_RSA_SHA256, -1, 29);
    let expired = pair(&PKCS_RSA_SHA256, -9, -1);
    let early = pair(&PKCS_RSA_SHA256, 1, 9);
    let ec = pair(&PKCS_ECDSA_P256_SHA256, -1, 300);
    let ed = pair(&PKCS_ED25519, -1, 300);
    let short = "certificate.key-short";
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let table = [
        (good.as_str(), key.as_str(), vec![short]),
        (&good, &other, vec![short, "key.mismatch"]),
        (&good, encrypted, vec![short, "key.encrypted"]),
        (&good, "", vec![short, "key.unreadable"]),
        (&soon.0, &soon.1, vec![short, "certificate.expires-soon"]),
        (&expired.0, &expired.1, vec![short, "certificate.expired"]),
        (&early.0, &early.1, vec![short, "certificate.not-yet-valid"]),
        (&ec.0, &ec.1, vec!["certificate.key-type"]),
        (&ed.0, &ed.1, vec!["certificate.key-type"]),
        (SHORT, "", vec!["certificate.key-too-short", "key.unreadable"]),
        ("", &key, vec!["certificate.unreadable"]),
        (&key, &key, vec!["certificate.unreadable"]),
        ("-----BEGIN CERTIFICATE-----\n!\n", "x", vec!["certificate.unreadable", "key.unreadable"]),
    ];
    for (index, (certificate, key, expected)) in table.into_iter().enumerate() {
        assert_eq!(ids(certificate, key), expected, "row {index}");
    }
}

#[test]
fn what_windows_does_to_a_file_does_not_matter() {
    let (certificate, key) = pair(&PKCS_RSA_SHA256, -1, 300);
    let windows = |text: &str| format!("\u{feff}Subject: x\r\n{}", text.replace('\n', "\r\n"));

    assert_eq!(ids(&windows(&certificate), &windows(&key)), ["certificate.key-short"]);
}

#[test]
fn the_signing_pair_may_be_p256_or_rsa() {
    let table = [
        (pair(&PKCS_ECDSA_P256_SHA256, -9, -1), None),
        (pair(&PKCS_RSA_SHA256, -9, -1), None),
        (pair(&PKCS_ECDSA_P384_SHA384, -1, 9), Some(("key.type", "certificate.key-type"))),
    ];
    for ((certificate, key), expected) in table {
        let of_key = signing_key(Named { setting: "jwt-signing-key", bytes: key.as_bytes() });
        let file = Named { setting: "jwt-verifying-cert", bytes: certificate.as_bytes() };
        let of_certificate = verifying_certificates(file);

        let ids = of_key.first().zip(of_certificate.first()).map(|(a, b)| (a.id, b.id));
        assert_eq!(ids, expected);
    }
}

#[test]
fn an_authority_is_expired_when_all_of_its_certificates_are() {
    let (expired, _) = pair(&PKCS_RSA_SHA256, -9, -1);
    let (valid, _) = pair(&PKCS_RSA_SHA256, -9, 1);
    let judge = |pem: &str| {
        let findings = authority(Named { setting: "ca-cert", bytes: pem.as_bytes() }, at(0));
        findings.into_iter().map(|finding| finding.id).collect::<Vec<_>>()
    };

    assert_eq!(judge(&expired), ["certificate.expired"]);
    assert_eq!(judge(&format!("{expired}{valid}")), [""; 0]);
    assert_eq!(judge("nothing"), ["certificate.unreadable"]);
}
