use time::OffsetDateTime;

use super::*;
use crate::{
    installation::installed::InstalledFile,
    pki::generate::{self, Pair},
    plan::tests::{facts, wanted},
    step::write::Write,
};

const BASE: &str = "accept-policies: true\nroot: /r\nruntime: host\nbroker-url: https://b\n\
                    external-pcoip-ip: 192.0.2.1\n";

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_900_000_000).unwrap()
}

fn pair(key: Key, names: &[&str], now: OffsetDateTime) -> Pair {
    let names = names.iter().map(ToString::to_string).collect();
    generate::pair(&Request { key, names, now }).unwrap()
}

fn signing() -> Pair {
    pair(Key::NewP256, &[], now())
}

fn joined(one: &Content, other: &Content) -> Content {
    [one.bytes(), other.bytes()].concat().into()
}

/// The steps for the announcements' pair, in words.
fn announcing(given: [Option<&Content>; 2], installed: Option<[&Content; 2]>) -> Vec<String> {
    let mut text = format!("{BASE}self-signed: true\n");
    let settings = [Setting::JwtSigningKey, Setting::JwtVerifyingCert];
    for setting in settings.iter().zip(given).filter_map(|(s, content)| content.map(|_| s)) {
        text += &format!("{setting}: /given\n");
    }
    let (wanted, _) = wanted(&text);
    let paths = wanted.place.paths();
    let mut facts = facts(&wanted);
    for (setting, content) in settings.into_iter().zip(given) {
        facts.given.extend(content.map(|content| (setting, Ok(content.clone()))));
    }
    let places = [layout::signing_key(&paths), layout::verifying_certificates(&paths)];
    for (path, content) in places.into_iter().zip(installed.into_iter().flatten()) {
        let file = InstalledFile { content: content.clone(), is_private: true };
        facts.installed.files.insert(path, file);
    }
    let steps = announcements(&wanted, &facts, &paths);
    steps.iter().map(in_words).collect()
}

fn in_words(step: &Step) -> String {
    match step {
        Step::MakeCertificate(MakeCertificate { request, followed_by, .. }) => {
            let key = match request.key {
                Key::NewRsa => "RSA",
                Key::NewP256 => "P-256",
                Key::Given(_) => "given",
            };
            let count = inspect::certificates(followed_by.bytes()).map_or(0, |all| all.len());
            format!("make {key} before {count}")
        }
        step => step.name(),
    }
}

#[test]
fn the_announcements_pair_is_given_kept_or_made() {
    let (ours, others, more) = (signing(), signing(), signing());
    let both = joined(&ours.certificate, &others.certificate);
    let [key, certificate] = [&ours.key, &ours.certificate];
    let other = &others.certificate;
    let table: [(_, _, &[&str]); 11] = [
        ([None, None], None, &["make P-256 before 0"]),
        ([None, None], Some([key, certificate]), &[]),
        ([None, None], Some([key, &both]), &["make given before 0"]),
        ([None, None], Some([key, other]), &["make given before 0"]),
        ([Some(key), None], None, &["make given before 0"]),
        ([Some(key), None], Some([key, certificate]), &[]),
        (
            [Some(key), Some(certificate)],
            None,
            &["write jwt-signing.key", "write jwt-verifying.crt"],
        ),
        ([None, Some(other)], None, &["make P-256 before 1"]),
        ([None, Some(other)], Some([key, certificate]), &["make given before 1"]),
        ([None, Some(other)], Some([key, &both]), &[]),
        ([None, Some(&more.certificate)], Some([key, &both]), &["make given before 1"]),
    ];
    for (index, (given, installed, expected)) in table.into_iter().enumerate() {
        assert_eq!(announcing(given, installed), expected, "row {index}");
    }
}

#[test]
fn a_self_signed_certificate_is_made_anew_when_it_no_longer_does() {
    let (wanted, _) = wanted(&format!("{BASE}self-signed: true\nhost-address: '2001:DB8::1'\n"));
    let mut facts = facts(&wanted);
    let paths = wanted.place.paths();
    let names = names(&wanted, &facts);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let good = pair(Key::NewRsa, &names, now());
    let old = pair(Key::NewRsa, &names, now() - Duration::days(367));
    let other = pair(Key::NewRsa, &names[1..], now());
    let mixed = Pair { key: old.key.clone(), certificate: good.certificate.clone() };

    assert_eq!(names[0], "2001:db8::1");
    for (pair, is_made) in [(&good, false), (&old, true), (&other, true), (&mixed, true)] {
        for (path, content) in
            [(layout::key(&paths), &pair.key), (layout::certificate(&paths), &pair.certificate)]
        {
            let file = InstalledFile { content: content.clone(), is_private: true };
            facts.installed.files.insert(path, file);
        }

        assert_eq!(self_signed(&wanted, &facts, &paths).is_some(), is_made);
    }
}

#[test]
fn given_files_are_copied_and_an_authority_that_is_not_given_any_more_goes() {
    let given = "ssl-cert: /c\nssl-key: /k\nca-cert: /a\n";
    let (with_authority, _) = wanted(&format!("{BASE}{given}"));
    let (without, _) = wanted(&format!("{BASE}self-signed: true\n"));
    let mut before = facts(&with_authority);
    for setting in [Setting::SslCert, Setting::SslKey, Setting::CaCert] {
        before.given.insert(setting, Ok("\u{feff}content".into()));
    }

    let copied = steps(&with_authority, &before).split_off(1);

    let words: Vec<_> = copied.iter().map(in_words).collect();
    assert_eq!(words, ["write cmsg.key", "write cmsg.crt", "write ca.crt"]);
    let Step::Write(Write { path, content, .. }) = &copied[2] else { panic!("{copied:?}") };
    assert_eq!(content.text(), "content");

    let file = InstalledFile { content: content.clone(), is_private: true };
    before.installed.files.insert(path.clone(), file);
    let words: Vec<_> = steps(&without, &before).iter().map(in_words).collect();
    assert_eq!(words, ["make P-256 before 0", "make RSA before 0", "remove ca.crt"]);
}
