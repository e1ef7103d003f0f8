use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, SignatureAlgorithm,
};

use time::Duration;

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

fn file<'a>(setting: Setting, text: &'a str) -> Named<'a> {
    Named { setting, path: Path::new("/given"), bytes: text.as_bytes(), is_copy: false }
}

fn ids(certificate: &str, key: &str) -> Vec<&'static str> {
    let asked = Tls {
        certificate: Some(file(Setting::SslCert, certificate)),
        key: Some(file(Setting::SslKey, key)),
        authority: None,
        names: vec![(Setting::HostAddress, "CM.example".to_owned())],
        now: at(0),
    };
    tls(&asked).into_iter().map(|finding| finding.id).collect()
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
        (&good, &other, vec!["key.mismatch", short]),
        (&good, encrypted, vec!["key.encrypted", short]),
        (&good, "", vec!["key.unreadable", short]),
        (&soon.0, &soon.1, vec![short, "certificate.expires-soon"]),
        (&expired.0, &expired.1, vec![short, "certificate.expired"]),
        (&early.0, &early.1, vec![short, "certificate.not-yet-valid"]),
        (&ec.0, &ec.1, vec!["certificate.key-type"]),
        (&ed.0, &ed.1, vec!["certificate.key-type"]),
        (
            SHORT,
            "",
            vec![
                "key.unreadable",
                "certificate.key-too-short",
                "certificate.is-authority",
                "certificate.name-missing",
            ],
        ),
        ("", &key, vec!["certificate.unreadable"]),
        (&key, &key, vec!["certificate.is-key"]),
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
    let [p256, rsa, p384] = [&PKCS_ECDSA_P256_SHA256, &PKCS_RSA_SHA256, &PKCS_ECDSA_P384_SHA384]
        .map(|algorithm| pair(algorithm, -9, -1));
    let several = format!("{}{}", rsa.0, p256.0);
    let table = [
        (Some(&p256.1), Some(&p256.0), vec![]),
        (Some(&rsa.1), Some(&rsa.0), vec![]),
        (Some(&p256.1), Some(&several), vec![]),
        (Some(&p256.1), None, vec![]),
        (None, Some(&several), vec![]),
        (Some(&p256.1), Some(&rsa.0), vec!["key.mismatch"]),
        (Some(&p384.1), Some(&p384.0), vec!["key.type", "certificate.key-type"]),
    ];
    for (index, (key, certificates, expected)) in table.into_iter().enumerate() {
        let key = key.map(|text| file(Setting::JwtSigningKey, text));
        let certificates = certificates.map(|text| file(Setting::JwtVerifyingCert, text));

        let ids: Vec<_> = announcing(key, certificates).iter().map(|finding| finding.id).collect();
        assert_eq!(ids, expected, "row {index}");
    }
}

#[test]
fn an_authority_is_expired_when_all_of_its_certificates_are() {
    let (expired, _) = pair(&PKCS_RSA_SHA256, -9, -1);
    let (valid, _) = pair(&PKCS_RSA_SHA256, -9, 1);
    let judge = |pem: &str| {
        let authority = Some(file(Setting::CaCert, pem));
        let asked = Tls { certificate: None, key: None, authority, names: vec![], now: at(0) };
        tls(&asked).into_iter().map(|finding| finding.id).collect::<Vec<_>>()
    };

    let plain = "certificate.not-authority";
    assert_eq!(judge(&expired), ["certificate.authority-expired", plain]);
    assert_eq!(judge(&format!("{expired}{valid}")), [plain]);
    assert_eq!(judge("nothing"), ["certificate.unreadable"]);
}
