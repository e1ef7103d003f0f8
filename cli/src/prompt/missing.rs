//! Asks for what an installation needs and nobody has said.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Gone, Person, choose, confirm, judged, questions::Question};
use crate::{
    answers::{Answers, Origin, sources::Sources},
    args::settings::{Kind, Layer, Setting},
    finding::Finding,
    wanted::{Location, Wanted},
};

const POLICIES: &str = "\
Licence: Apache-2.0. You may use, change and pass on this software; it comes without warranty. The
whole text: https://www.apache.org/licenses/LICENSE-2.0
Privacy: nothing is collected, and nothing is sent to anybody but the hosts that you name.";

const GATEWAY: &str = "\
Clients' sessions come to the gateway on this host, at an address of its own or one that is forwarded
to it; never at a load balancer's.";

const AGAIN: &str = "\
Any of these files may be the wrong one, so they are asked for again; an empty line keeps the one in
brackets.";

/// What an empty line answers to the question for a setting.
pub(super) type Offers = BTreeMap<Setting, String>;

/// Why not all was answered.
#[derive(Debug)]
pub(crate) enum Unanswered {
    /// The person went away.
    Gone,
    /// The answer refuses the installation.
    Refused(Vec<Finding>),
}

impl From<Gone> for Unanswered {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Asks until nothing is open; `addresses` are those of this host.
///
/// # Errors
///
/// Where the person goes away, or does not accept the policies.
pub(crate) fn ask_for_missing(
    person: &mut dyn Person,
    sources: &mut Sources,
    (saved, place): (&Layer, &Location),
    addresses: &[IpAddr],
) -> Result<(), Unanswered> {
    let mut offers: Offers =
        offer(addresses).map(|best| (Setting::ExternalPcoipIp, best)).into_iter().collect();
    while let Some(question) = Question::next(&sources.resolve(saved)) {
        match question {
            Question::Policies => {
                person.tell(POLICIES);
                if !confirm(person, &format!("{}?", question.words()))? {
                    return Err(Unanswered::Refused(not_accepted(sources, saved, place)));
                }
                say(person, sources, (saved, place), (Setting::AcceptPolicies, "true".into()));
            }
            Question::Certificate => {
                person.tell(&format!("{}?", question.words()));
                let choices = [
                    ("false", "your own, from files (--ssl-cert, --ssl-key, --ca-cert)"),
                    ("true", "a self-signed one, for testing (--self-signed)"),
                ];
                let answer = choose(person, &choices)?;
                say(person, sources, (saved, place), (Setting::SelfSigned, answer.into()));
            }
            Question::Value(setting) => {
                if setting == Setting::ExternalPcoipIp {
                    person.tell(GATEWAY);
                }
                ask_for(person, sources, (saved, place), setting, &mut offers)?;
            }
            Question::Password(setting) => {
                let typed = person.ask(&format!("{}: ", question.words()), true)?;
                say(person, sources, (saved, place), (setting, (*typed).clone()));
            }
        }
    }
    Ok(())
}

/// Asks for the value of a setting until it has one; an empty line takes what is offered. Where a file
/// does not go with what was answered before, that is taken back too, and offered.
///
/// # Errors
///
/// Where the person goes away.
pub(super) fn ask_for(
    person: &mut dyn Person,
    sources: &mut Sources,
    around: (&Layer, &Location),
    setting: Setting,
    offers: &mut Offers,
) -> Result<(), Gone> {
    let words = Question::Value(setting).words();
    let offered = offers.get(&setting).cloned().unwrap_or_default();
    let brackets = if offered.is_empty() { String::new() } else { format!(" [{offered}]") };
    loop {
        let typed = person.ask(&format!("{words}{brackets}: "), false)?;
        let text = if typed.is_empty() { &offered } else { &*typed };
        if text.is_empty() {
            person.tell("an answer is needed; Ctrl-C stops, and nothing is changed");
            continue;
        }
        let wrong = say(person, sources, around, (setting, text.clone()));
        if wrong.is_empty() {
            return Ok(());
        }
        let before = answered_with(setting, &wrong, &sources.resolve(around.0));
        if !before.is_empty() {
            person.tell(AGAIN);
            offers.insert(setting, text.clone());
            for (setting, text) in before {
                sources.forget(setting);
                offers.insert(setting, text);
            }
            return Ok(());
        }
    }
}

/// What the person answered before and may be as wrong as the answer to this setting; nothing where the
/// certificate was said in another way.
fn answered_with(setting: Setting, wrong: &[Finding], answers: &Answers) -> Offers {
    const TOGETHER: [&str; 3] =
        ["key.mismatch", "certificate.unusable", "certificate.chain-incomplete"];
    let answered = |setting: Setting| {
        let answer = answers.of(setting);
        let text = answer.texts.first().filter(|_| answer.from == Origin::Prompt)?;
        Some((setting, text.clone()))
    };
    let is_together = [Setting::SslKey, Setting::CaCert].contains(&setting)
        && wrong.iter().any(|finding| TOGETHER.contains(&finding.id));
    if !is_together || answered(Setting::SslCert).is_none() {
        return Offers::new();
    }
    [Setting::SslCert, Setting::SslKey].into_iter().filter_map(answered).collect()
}

/// Takes an answer, or tells what is wrong with it, and returns that.
pub(super) fn say(
    person: &mut dyn Person,
    sources: &mut Sources,
    (saved, place): (&Layer, &Location),
    (setting, text): (Setting, String),
) -> Vec<Finding> {
    let texts = match setting.kind() {
        Kind::List => text.split([',', ' ']).filter(|t| !t.is_empty()).map(Into::into).collect(),
        _ => vec![text],
    };
    let wrong = judged::answer(sources, saved, place, (setting, texts)).err().unwrap_or_default();
    wrong.iter().for_each(|finding| person.refuse(finding));
    wrong
}

/// The address that most clients can reach: a public one before one of a private network.
fn offer(addresses: &[IpAddr]) -> Option<String> {
    let is_public = |address: &&IpAddr| match address {
        IpAddr::V4(address) => !address.is_private(),
        IpAddr::V6(_) => false,
    };
    let best = addresses.iter().find(is_public).or(addresses.first());
    best.map(ToString::to_string)
}

fn not_accepted(sources: &Sources, saved: &Layer, place: &Location) -> Vec<Finding> {
    let (_, findings) = Wanted::read(&sources.resolve(saved), place.clone());
    findings.into_iter().filter(|finding| finding.id == "settings.policies").collect()
}

#[cfg(test)]
mod tests;
