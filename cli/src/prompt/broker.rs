//! Asks how to trust a broker whose certificate cannot be verified or is not the pinned one.

use super::{
    Gone, Person,
    missing::{Offers, ask_for, say},
    questions::Question,
};
use crate::{
    answers::{Origin, sources::Sources},
    args::settings::{Layer, Setting},
    finding::Finding,
    host::broker::Seen,
    wanted::Location,
};

/// How a broker is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// As checked; by the key that it presents now, if its certificate cannot be verified.
    Pin,
    /// By the authority's file that the person named; to be checked again.
    Listed,
    /// As the changed answers say; to be checked again.
    Anew,
}

/// How the broker was trusted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// This is the first connection: its key is pinned by default.
    New,
    /// By other means than a pin, which do not verify its certificate. Its key is pinned only by an
    /// answer.
    Untrusted,
    /// By a pin, but it presents another key.
    Changed,
}

const QUESTION: &str =
    "Compare these fingerprints with the broker's own. How should it be trusted?";

#[derive(Debug, Clone, Copy)]
enum Choice {
    Pin,
    Authority,
    Off,
}

/// Shows what the broker presents, and asks how to trust it. Settings that have a value already are not
/// offered. If the authority's file that the person named does not verify the certificate, that answer
/// is removed without a question, so that the same choices are offered again.
///
/// # Errors
///
/// The person leaves.
pub(crate) fn how_to_trust(
    person: &mut dyn Person,
    sources: &mut Sources,
    around: (&Layer, &Location),
    (broker, seen, known): (&str, &Seen, Before),
    before: Trust,
) -> Result<Trust, Gone> {
    let answers = sources.resolve(around.0);
    let authority = answers.of(Setting::CaCert).texts.first();
    let trouble = seen.trouble.as_deref().unwrap_or_default();
    if let (Trust::Listed, Some(file)) = (before, authority) {
        person.refuse(&not_vouched(file, trouble));
        sources.forget(Setting::CaCert);
        return Ok(Trust::Anew);
    }
    let is_unsaid = |setting| answers.of(setting).from == Origin::Default;
    let mut choices = vec![(Choice::Pin, "Pin this key (--broker-pin)")];
    if is_unsaid(Setting::CaCert) {
        choices
            .push((Choice::Authority, "Verify it with its authority's certificates (--ca-cert)"));
    }
    if is_unsaid(Setting::BrokerCertCheck) {
        const OFF: &str = "Don't verify: passwords can be intercepted (--broker-cert-check=false)";
        choices.push((Choice::Off, OFF));
    }
    if choices.len() == 1 && known == Before::New {
        return Ok(Trust::Pin);
    }
    person.tell(&shown(broker, seen, known, authority));
    let (choices, texts): (Vec<_>, Vec<_>) = choices.into_iter().unzip();
    let chosen = choices[person.choose(QUESTION, &texts)?];
    person.tell("");
    match chosen {
        Choice::Pin if known == Before::New => Ok(Trust::Pin),
        Choice::Pin => {
            say(person, sources, around, (Setting::BrokerPin, seen.key.to_string()));
            Ok(Trust::Anew)
        }
        Choice::Authority => {
            ask_for(person, sources, around, Question::CaCert, &mut Offers::new())?;
            Ok(Trust::Listed)
        }
        Choice::Off => {
            say(person, sources, around, (Setting::BrokerCertCheck, "false".to_owned()));
            Ok(Trust::Anew)
        }
    }
}

fn not_vouched(file: &str, trouble: &str) -> Finding {
    Finding::error(
        "broker.authority",
        format!("the broker's certificate cannot be verified with `{file}`: {trouble}"),
        "specify a file with the certificates of the issuing authority, or choose another option",
    )
}

/// What the person compares. Text that the broker chose comes last, so that it cannot imitate the
/// fingerprints.
fn shown(broker: &str, seen: &Seen, known: Before, authority: Option<&String>) -> String {
    let Seen { key, certificate, names, trouble } = seen;
    let trouble = trouble.as_deref().unwrap_or_default();
    let by = authority.map(|file| format!(", not even with `{file}`")).unwrap_or_default();
    let what = match known {
        Before::Changed => format!(
            "The broker {broker} presents a different certificate than the pinned one. If it was \
             not replaced on purpose, the connection may be intercepted."
        ),
        Before::New | Before::Untrusted => {
            format!("The certificate of the broker {broker} cannot be verified{by}.")
        }
    };
    format!(
        "{what}\n  key:\n    {key}\n  certificate:\n    {certificate}\n  problem: {trouble}\n  \
         names: {names}"
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::{pki::sha256, prompt::scripted::Scripted};

    fn seen() -> Seen {
        Seen {
            key: sha256(b"key"),
            certificate: sha256(b"certificate"),
            names: "b.example".to_owned(),
            trouble: Some("UnknownIssuer".to_owned()),
        }
    }

    fn asked(flags: &Layer, answers: &[&str]) -> (Result<Trust, Gone>, Sources, Scripted) {
        let mut sources = Sources::of_flags(flags.clone());
        let mut person = Scripted::answering(answers);
        let trust = ask(&mut person, &mut sources, Trust::Anew);
        (trust, sources, person)
    }

    fn ask(person: &mut Scripted, sources: &mut Sources, before: Trust) -> Result<Trust, Gone> {
        ask_about(Before::New, person, sources, before)
    }

    fn ask_about(
        known: Before,
        person: &mut Scripted,
        sources: &mut Sources,
        before: Trust,
    ) -> Result<Trust, Gone> {
        let saved = Layer::new();
        let place = Location::read(&sources.resolve(&saved)).unwrap();
        let broker = ("https://b.example", &seen(), known);
        how_to_trust(person, sources, (&saved, &place), broker, before)
    }

    /// A file with an authority's certificate.
    fn authority() -> tempfile::NamedTempFile {
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(params.self_signed(&key).unwrap().pem().as_bytes()).unwrap();
        file
    }

    #[test]
    fn its_fingerprints_and_names_are_told_before_it_is_trusted() {
        let (trust, _, person) = asked(&Layer::new(), &["1"]);

        assert_eq!(trust, Ok(Trust::Pin));
        for part in ["UnknownIssuer", "b.example", &sha256(b"key").to_string()] {
            assert!(person.told[0].contains(part), "{}", person.told[0]);
        }
        assert!(person.told[0].contains(&sha256(b"certificate").to_string()));
    }

    #[test]
    fn fingerprints_come_before_everything_that_a_stranger_chose() {
        let (_, _, person) = asked(&Layer::new(), &["1"]);

        let told = &person.told[0];
        let at = |text: &str| told.find(text).unwrap_or_else(|| panic!("{text}: {told}"));
        for fingerprint in [sha256(b"key"), sha256(b"certificate")] {
            for strangers in ["UnknownIssuer", "  names: b.example"] {
                assert!(at(&fingerprint.to_string()) < at(strangers), "{told}");
            }
        }
    }

    #[test]
    fn a_check_that_is_switched_off_is_an_answer() {
        let (trust, sources, _) = asked(&Layer::new(), &["3"]);

        let answers = sources.resolve(&Layer::new());
        assert_eq!(trust, Ok(Trust::Anew));
        assert_eq!(answers.of(Setting::BrokerCertCheck).texts, ["false"]);
        assert_eq!(answers.of(Setting::BrokerCertCheck).from, Origin::Prompt);
    }

    #[test]
    fn a_file_that_does_not_vouch_is_named_and_the_same_is_offered_again() {
        let file = authority();
        let path = file.path().to_str().unwrap();
        let mut sources = Sources::of_flags(Layer::new());
        let mut person = Scripted::answering(&["2", path, "2", path]);

        let first = ask(&mut person, &mut sources, Trust::Anew).unwrap();
        let offered = std::mem::take(&mut person.told);
        let second = ask(&mut person, &mut sources, first).unwrap();

        assert_eq!((first, second), (Trust::Listed, Trust::Anew));
        let what =
            format!("the broker's certificate cannot be verified with `{path}`: UnknownIssuer");
        assert_eq!(person.refused, [what]);
        assert_eq!(sources.resolve(&Layer::new()).of(Setting::CaCert).from, Origin::Default);
        assert_eq!(ask(&mut person, &mut sources, second), Ok(Trust::Listed));
        assert_eq!(person.told, offered);
        assert!(offered[3].starts_with("  2) Verify it with its authority"), "{offered:?}");
    }

    #[test]
    fn what_was_said_already_is_not_offered() {
        let authority = (Setting::CaCert, vec!["/ca".to_owned()]);
        let checked = (Setting::BrokerCertCheck, vec!["true".to_owned()]);

        let (_, sources, asked_for) = asked(&[authority.clone()].into(), &["2"]);
        let (trust, _, person) = asked(&[authority, checked].into(), &[]);

        let answers = sources.resolve(&Layer::new());
        assert_eq!(answers.of(Setting::BrokerCertCheck).texts, ["false"]);
        let told = &asked_for.told[0];
        assert!(told.contains("cannot be verified, not even with `/ca`."), "{told}");
        assert_eq!(trust, Ok(Trust::Pin));
        assert_eq!(person.told, [""; 0]);
    }

    #[test]
    fn another_key_than_the_pinned_one_is_an_answer_where_it_is_chosen() {
        let checked = (Setting::BrokerCertCheck, vec!["true".to_owned()]);
        let authority = (Setting::CaCert, vec!["/ca".to_owned()]);
        let mut sources = Sources::of_flags([checked, authority].into());
        let mut person = Scripted::answering(&["1"]);

        let trust = ask_about(Before::Changed, &mut person, &mut sources, Trust::Anew);

        assert_eq!(trust, Ok(Trust::Anew));
        assert!(person.told[0].contains("a different certificate than the pinned one"));
        let answers = sources.resolve(&Layer::new());
        assert_eq!(answers.of(Setting::BrokerPin).texts, [sha256(b"key").to_string()]);
    }
}
