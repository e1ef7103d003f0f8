//! What is pinned for a broker, and what never is unasked.

use super::*;
use crate::{adopt, installation::adopted::Adopted, preflight};

const PIN: &str = "BrokerCertPin";

fn seen(key: &[u8], trouble: Option<&str>) -> BrokerFact {
    BrokerFact::Seen(Seen {
        key: sha256(key),
        certificate: sha256(b"certificate"),
        names: "b".to_owned(),
        trouble: trouble.map(str::to_owned),
    })
}

/// A host that an administrator prepared with these lines.
fn prepared(lines: &str) -> Facts {
    let (wanted, _) = wanted(BOTH);
    let mut facts = facts(&wanted);
    let file = InstalledFile { content: lines.to_owned().into(), is_private: true };
    facts.installed.files.insert(wanted.place.paths().connection_manager_conf(), file);
    facts
}

fn asking(url: &str) -> (Wanted, Answers) {
    wanted(&BOTH.replace("https://b\n", &format!("{url}\n")))
}

fn pinned(wanted: &Wanted, facts: &Facts) -> Vec<String> {
    let cm = Configuration::draft(wanted, facts).cm.unwrap();
    cm.values(PIN).map(|entry| entry.value.to_owned()).collect()
}

#[test]
fn a_pin_stays_with_its_broker_however_its_url_is_spelled() {
    let pin = sha256(b"own").to_string();
    let spellings = [
        "https://b.example",
        "https://b.example/",
        "https://b.example/pcoip-broker/xml",
        "https://b.example:443",
        "https://B.EXAMPLE",
        "https://b.example.",
    ];
    for standing in spellings {
        for given in spellings {
            let mut facts = prepared(&format!("PcoipAddress = {standing}\n{PIN} = {pin}\n"));
            facts.broker = seen(b"another", Some("unknown issuer"));

            assert_eq!(pinned(&asking(given).0, &facts), [&*pin], "{standing} {given}");
        }
    }
}

#[test]
fn another_key_of_a_broker_that_comes_back_is_not_pinned() {
    let (one, other) = (asking("https://one"), asking("https://other"));
    let mut facts = prepared("");
    facts.broker = seen(b"first", Some("unknown issuer"));
    facts = again(facts, &one);
    let first = sha256(b"first").to_string();
    assert_eq!(values(&facts, Role::Cm, PIN), [&*first]);
    facts.broker = seen(b"other", Some("unknown issuer"));
    facts = again(facts, &other);
    assert_eq!(values(&facts, Role::Cm, PIN), [sha256(b"other").to_string()]);

    facts.broker = seen(b"attacker's", Some("unknown issuer"));
    let findings = preflight::of_host(&one.0, &facts);

    assert_eq!(pinned(&one.0, &facts), [first]);
    assert!(findings.iter().any(|it| it.id == preflight::CHANGED), "{findings:?}");
}

#[test]
fn a_broker_that_was_verified_once_is_never_pinned_unasked() {
    let mut facts = prepared("");
    facts.broker = seen(b"own", None);
    let switched = |is_on| wanted(&format!("{BOTH}broker-cert-check: {is_on}\n"));
    facts = again(facts, &wanted(BOTH));
    facts.broker = BrokerFact::Unverified;
    facts = again(facts, &switched(false));

    facts.broker = seen(b"attacker's", Some("unknown issuer"));
    facts = again(facts, &switched(true));

    assert_eq!(values(&facts, Role::Cm, PIN), [""; 0]);
}

#[test]
fn nothing_is_pinned_unasked_where_an_authority_is_given() {
    let authority = wanted(&format!("{BOTH}ca-cert: /a\n"));
    let own = "CaCertificate = /mine.crt\n";
    for (lines, (wanted, _)) in [("", &authority), (own, &wanted(BOTH))] {
        let mut facts = prepared(lines);
        facts.broker = seen(b"attacker's", Some("unknown issuer"));

        let findings = preflight::of_host(wanted, &facts);

        assert_eq!(pinned(wanted, &facts), [""; 0], "{lines:?}");
        assert!(findings.iter().any(|it| it.id == preflight::UNTRUSTED), "{findings:?}");
    }
}

#[test]
fn a_broker_that_the_adopted_product_verified_is_not_pinned() {
    let pin = sha256(b"own").to_string();
    let (wanted, _) = wanted(BOTH);
    let table = [
        ("PcoipAddress = https://b\n", Some(pin)),
        ("PcoipAddress = https://b\nBrokerCertCheck = true\n", None),
    ];
    for (lines, expected) in table {
        let mut facts = prepared(lines);
        facts.broker = seen(b"own", Some("unknown issuer"));
        let adopted = Some(Adopted::default());
        adopt::settle(&mut facts, &adopt::Adoption { adopted, ..adopt::Adoption::default() });

        assert_eq!(pinned(&wanted, &facts), Vec::from_iter(expected), "{lines}");
    }
}

#[test]
fn a_pin_that_cannot_be_parsed_is_refused_and_not_dropped() {
    let (wanted, _) = wanted(BOTH);
    let mut facts = prepared("PcoipAddress = https://b\nBrokerCertPin = sha256:12\n");
    facts.broker = seen(b"attacker's", Some("unknown issuer"));

    let findings = preflight::of_plan(&wanted, &facts);

    assert_eq!(pinned(&wanted, &facts), ["sha256:12"]);
    let refused = findings.iter().find(|it| it.is_error()).expect("it is refused");
    assert!(refused.what.contains("`sha256:12` is not"), "{refused:?}");
}
