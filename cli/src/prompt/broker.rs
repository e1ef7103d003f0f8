//! A broker whose certificate cannot be verified: how it is to be trusted.

use super::{
    Gone, Person, choose,
    missing::{ask_for, say},
};
use crate::{
    answers::{Layer, Origin, sources::Sources},
    host::broker::Seen,
    wanted::Place,
};

/// How a broker is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// By the key that it shows now.
    Pin,
    /// As the answers say now; it is to be looked at again.
    Anew,
}

#[derive(Debug, Clone, Copy)]
enum Choice {
    Pin,
    Authority,
    Off,
}

/// Asks for it, with what the broker shows. What was said in another way is not offered.
///
/// # Errors
///
/// Where the person goes away.
pub(crate) fn how_to_trust(
    person: &mut dyn Person,
    sources: &mut Sources,
    around: (&Layer, &Place),
    (broker, seen): (&str, &Seen),
) -> Result<Trust, Gone> {
    let Seen { key, certificate, names, trouble } = seen;
    let trouble = trouble.as_deref().unwrap_or_default();
    let answers = sources.resolve(around.0);
    let is_unsaid = |name| answers.of(name).from == Origin::Default;
    let mut choices = vec![(Choice::Pin, "by this key, which is pinned; as without a terminal")];
    if is_unsaid("ca-cert") {
        choices.push((Choice::Authority, "by its authority's certificates (--ca-cert)"));
    }
    if is_unsaid("broker-cert-check") {
        const OFF: &str =
            "not at all: whoever is in between reads passwords (--broker-cert-check=false)";
        choices.push((Choice::Off, OFF));
    }
    if choices.len() == 1 {
        return Ok(Trust::Pin);
    }
    person.tell(&format!(
        "The certificate of the broker {broker} cannot be verified: {trouble}.\n  \
         names:       {names}\n  certificate: {certificate}\n  key:         {key}\n\
         Compare them with the broker's own. How is it to be trusted?"
    ));
    match choose(person, &choices)? {
        Choice::Pin => return Ok(Trust::Pin),
        Choice::Authority => ask_for(person, sources, around, ("ca-cert", None))?,
        Choice::Off => {
            say(person, sources, around, ("broker-cert-check", "false".to_owned()));
        }
    }
    Ok(Trust::Anew)
}

#[cfg(test)]
mod tests {
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
        let saved = Layer::new();
        let place = Place::read(&sources.resolve(&saved)).unwrap();
        let broker = ("https://b.example", &seen());
        let trust = how_to_trust(&mut person, &mut sources, (&saved, &place), broker);
        (trust, sources, person)
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
    fn a_check_that_is_switched_off_is_an_answer() {
        let (trust, sources, _) = asked(&Layer::new(), &["3"]);

        let answers = sources.resolve(&Layer::new());
        assert_eq!(trust, Ok(Trust::Anew));
        assert_eq!(answers.of("broker-cert-check").texts, ["false"]);
        assert_eq!(answers.of("broker-cert-check").from, Origin::Prompt);
    }

    #[test]
    fn what_was_said_already_is_not_offered() {
        let authority = ("ca-cert", vec!["/ca".to_owned()]);
        let checked = ("broker-cert-check", vec!["true".to_owned()]);

        let (_, sources, _) = asked(&[authority.clone()].into(), &["2"]);
        let (trust, _, person) = asked(&[authority, checked].into(), &[]);

        let answers = sources.resolve(&Layer::new());
        assert_eq!(answers.of("broker-cert-check").texts, ["false"]);
        assert_eq!(trust, Ok(Trust::Pin));
        assert_eq!(person.told, [""; 0]);
    }
}
