use std::{fs::File, io::Write as _, path::Path};

use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};

use super::*;
use crate::{answers::Origin, prompt::scripted::Scripted};

/// A connection manager whose certificate is to be its own.
const OWN: [(Setting, &str); 4] = [
    (Setting::AcceptPolicies, "true"),
    (Setting::BrokerUrl, "https://b"),
    (Setting::EnableSecurityGateway, "false"),
    (Setting::SelfSigned, "false"),
];

/// What came of it, with the answers that were taken.
fn asked(
    flags: &[(Setting, &str)],
    answers: &[&str],
) -> (Result<(), Unanswered>, Sources, Scripted) {
    let flags = flags.iter().map(|(setting, text)| (*setting, vec![(*text).to_owned()])).collect();
    let mut sources = Sources::of_flags(flags);
    let mut person = Scripted::answering(answers);
    let saved = Layer::new();
    let place = Location::read(&sources.resolve(&saved)).unwrap();
    let addresses = ["10.0.0.7", "203.0.113.7"].map(|text| text.parse().unwrap());
    let outcome = ask_for_missing(&mut person, &mut sources, (&saved, &place), &addresses);
    (outcome, sources, person)
}

fn typed(sources: &Sources, setting: Setting) -> Vec<String> {
    let answers = sources.resolve(&Layer::new());
    assert_eq!(answers.of(setting).from, Origin::Prompt, "{setting}");
    answers.of(setting).texts.clone()
}

#[test]
fn an_installation_is_answered_by_hand() {
    let (outcome, sources, person) = asked(&[], &["yes", "https://b.example", "", "2"]);

    outcome.unwrap();
    assert_eq!(typed(&sources, Setting::AcceptPolicies), ["true"]);
    assert_eq!(typed(&sources, Setting::BrokerUrl), ["https://b.example"]);
    assert_eq!(typed(&sources, Setting::ExternalPcoipIp), ["203.0.113.7"]);
    assert_eq!(typed(&sources, Setting::SelfSigned), ["true"]);
    assert_eq!(person.refused, [""; 0]);
}

#[test]
fn a_wrong_answer_is_told_as_the_flags_would_be_and_asked_again() {
    let answers = ["broker.example", "", "https://b.example", "::1", "203.0.113.1 203.0.113.2"];
    let flags = [(Setting::AcceptPolicies, "true"), (Setting::SelfSigned, "true")];

    let (outcome, sources, person) = asked(&flags, &[&answers[..], &["203.0.113.1"]].concat());

    outcome.unwrap();
    assert_eq!(typed(&sources, Setting::ExternalPcoipIp), ["203.0.113.1"]);
    assert_eq!(person.asked.len(), 6);
    let [broker, empty, loopback, several] = &person.refused[..] else {
        panic!("{:?}", person.refused)
    };
    assert!(broker.starts_with("`--broker-url`: `broker.example` "), "{broker}");
    assert_eq!(empty, "a value is required");
    assert!(loopback.contains("which is a loopback address"), "{loopback}");
    assert_eq!(several, "`--external-pcoip-ip` contains 2 IPv4 addresses");
}

#[test]
fn a_file_is_looked_into_when_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut odd = tempfile::NamedTempFile::new().unwrap();
    odd.write_all(b"odd").unwrap();
    let odd = odd.path();
    let flags = [
        (Setting::AcceptPolicies, "true"),
        (Setting::BrokerUrl, "https://b"),
        (Setting::EnableSecurityGateway, "false"),
    ];

    let (outcome, _, person) =
        asked(&flags, &["1", folder.path().to_str().unwrap(), odd.to_str().unwrap()]);

    assert!(matches!(outcome, Err(Unanswered::Gone)));
    let [folder_told, odd_told] = &person.refused[..] else { panic!("{:?}", person.refused) };
    assert!(folder_told.ends_with("is not a regular file"), "{folder_told}");
    assert!(odd_told.contains(&*odd.to_string_lossy()), "{odd_told}");
    assert_eq!(
        person.asked[1..].iter().filter(|asked| asked.ends_with("--ssl-cert\n> ")).count(),
        3
    );
}

/// A certificate that vouches for itself, and its key.
fn pair(folder: &Path, name: &str) -> [String; 2] {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = certificate.self_signed(&key).unwrap().pem();
    [("crt", certificate), ("key", key.serialize_pem())].map(|(kind, text)| {
        let path = folder.join(format!("{name}.{kind}"));
        File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    })
}

#[test]
fn a_key_of_another_certificate_asks_for_the_certificate_again() {
    let folder = tempfile::tempdir().unwrap();
    let [a_crt, a_key] = pair(folder.path(), "a");
    let [b_crt, b_key] = pair(folder.path(), "b");
    // Either of them may be the wrong one; an empty line keeps the other.
    for (again, right) in [([&*b_crt, ""], [&b_crt, &b_key]), (["", &*a_key], [&a_crt, &a_key])] {
        let right = right.map(String::as_str);
        let answers = [&*a_crt, &*b_key, again[0], again[1], right[0]];

        let (outcome, sources, person) = asked(&OWN, &answers);

        outcome.unwrap();
        assert_eq!(
            [typed(&sources, Setting::SslCert), typed(&sources, Setting::SslKey)].concat(),
            right
        );
        let what = format!("the key of `--ssl-key {b_key}` does not belong to the certificate");
        assert_eq!(person.refused, [what]);
        assert_eq!(person.told, [AGAIN]);
        assert!(person.asked[2].ends_with(&format!(" [{a_crt}]  --ssl-cert\n> ")), "{person:?}");
        assert!(person.asked[3].ends_with(&format!(" [{b_key}]  --ssl-key\n> ")), "{person:?}");
    }
}

#[test]
fn an_authority_that_issued_nothing_asks_for_the_certificate_again() {
    let folder = tempfile::tempdir().unwrap();
    let [a_crt, a_key] = pair(folder.path(), "a");
    let [b_crt, b_key] = pair(folder.path(), "b");

    let (outcome, sources, person) =
        asked(&OWN, &[&a_crt, &a_key, &b_crt, "/nowhere", &b_crt, &b_key, ""]);

    outcome.unwrap();
    for (setting, path) in
        [(Setting::SslCert, &b_crt), (Setting::SslKey, &b_key), (Setting::CaCert, &b_crt)]
    {
        assert_eq!(typed(&sources, setting), [&**path], "{setting}");
    }
    assert_eq!(person.told, [AGAIN]);
}

#[test]
fn a_key_of_a_certificate_that_a_flag_names_is_asked_for_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [a_crt, a_key] = pair(folder.path(), "a");
    let [_, b_key] = pair(folder.path(), "b");
    let flags = [&OWN[..], &[(Setting::SslCert, &a_crt), (Setting::CaCert, &a_crt)]].concat();

    let (outcome, sources, person) = asked(&flags, &[&b_key, &a_key]);

    outcome.unwrap();
    assert_eq!(typed(&sources, Setting::SslKey), [a_key]);
    assert_eq!(person.told, [""; 0]);
}

#[test]
fn policies_that_are_not_accepted_refuse() {
    for answer in ["", "no"] {
        let (outcome, _, person) = asked(&[], &[answer]);

        let Err(Unanswered::Refused(findings)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(findings[0].id, "settings.policies");
        assert_eq!(person.told, [POLICIES]);
    }
}

#[test]
fn a_password_is_asked_for_unseen_and_stands_nowhere() {
    let flags = [
        (Setting::AcceptPolicies, "true"),
        (Setting::BrokerUrl, "https://b"),
        (Setting::EnableSecurityGateway, "false"),
        (Setting::SelfSigned, "true"),
        (Setting::DockerUsername, "me"),
    ];

    let (outcome, sources, person) = asked(&flags, &["", "@hunter2"]);

    outcome.unwrap();
    assert_eq!(typed(&sources, Setting::DockerPassword), ["(hidden)"]);
    assert_eq!(person.asked, ["Password for the registry  --docker-password\n>  (unseen)"; 2]);
    assert_eq!(person.refused, ["`--docker-password`: the password is empty"]);
    assert!(!format!("{sources:?}").contains("hunter2"));
}
