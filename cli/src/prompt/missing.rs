//! Asks for the required settings that have no value.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Gone, Person, ValueQuestion, judged, questions::Question};
use crate::{
    answers::{Answers, Origin, sources::Sources},
    args::settings::{Kind, Layer, Setting},
    finding::Finding,
    wanted::{Location, Wanted},
};

const POLICIES: &str = "\
License: Apache-2.0. You may use, change and distribute this software. It comes without warranty \
(https://www.apache.org/licenses/LICENSE-2.0).
Privacy: this software collects no data and connects only to the hosts that you configure.";

const GATEWAY: &str = "\
Clients connect directly to the gateway on this host. Enter the host's own address or one that is \
forwarded to it, not the address of a load balancer.";

const AGAIN: &str = "\
Any of these files may be the wrong one. You are asked for each of them again: press Enter to keep \
the file in brackets.";

/// What `--self-signed` is for each choice.
const CERTIFICATES: [(&str, &str); 2] = [
    ("false", "My own certificate, from files (--ssl-cert, --ssl-key, --ca-cert)"),
    ("true", "A self-signed certificate, for testing (--self-signed)"),
];

/// The defaults that are offered for settings.
pub(super) type Offers = BTreeMap<Setting, String>;

/// Why a question was not answered.
#[derive(Debug)]
pub(crate) enum Unanswered {
    Gone,
    /// The person does not accept the policies.
    Refused(Vec<Finding>),
}

impl From<Gone> for Unanswered {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Asks until nothing is missing; `addresses` are those of this host.
///
/// # Errors
///
/// The person leaves or does not accept the policies.
pub(crate) fn ask_for_missing(
    person: &mut dyn Person,
    sources: &mut Sources,
    (saved, place): (&Layer, &Location),
    addresses: &[IpAddr],
) -> Result<(), Unanswered> {
    let mut offers: Offers =
        offer(addresses).map(|best| (Setting::ExternalPcoipIp, best)).into_iter().collect();
    while let Some(question) = Question::next(&sources.resolve(saved)) {
        let around = (saved, place);
        match question {
            Question::Policies => {
                person.tell(POLICIES);
                let text = format!("{} ({})?", question.text(), question.flag());
                if !person.confirm(&text)? {
                    return Err(Unanswered::Refused(not_accepted(sources, saved, place)));
                }
                say(person, sources, around, (Setting::AcceptPolicies, "true".into()));
            }
            Question::Certificate => {
                let (answers, texts): (Vec<_>, Vec<_>) = CERTIFICATES.into_iter().unzip();
                let chosen = person.choose(question.text(), &texts)?;
                say(person, sources, around, (Setting::SelfSigned, answers[chosen].to_owned()));
            }
            Question::BrokerUrl
            | Question::ExternalPcoipIp
            | Question::SslCert
            | Question::SslKey
            | Question::CaCert
            | Question::JwtVerifyingCert => {
                if question == Question::ExternalPcoipIp {
                    person.tell(GATEWAY);
                }
                ask_for(person, sources, around, question, &mut offers)?;
            }
            Question::DockerPassword | Question::SsoEnrollmentPassword => {
                let text = format!("{}  {}\n> ", question.text(), question.flag());
                let typed = person.ask(&text, true)?;
                say(person, sources, around, (question.setting(), (*typed).clone()));
            }
        }
        person.tell("");
    }
    Ok(())
}

/// Whether nothing has to be asked.
pub(crate) fn is_complete(answers: &Answers) -> bool {
    Question::next(answers).is_none()
}

/// Asks for the value of a setting until it has one. Where a file does not belong to those that were
/// answered before, these answers are removed and offered again.
///
/// # Errors
///
/// The person leaves.
pub(super) fn ask_for(
    person: &mut dyn Person,
    sources: &mut Sources,
    around: (&Layer, &Location),
    question: Question,
    offers: &mut Offers,
) -> Result<(), Gone> {
    let setting = question.setting();
    let default = offers.get(&setting).cloned().unwrap_or_default();
    let asked = ValueQuestion { text: question.text(), flag: question.flag(), default };
    let mut apart = None;
    let answer = person.value(&asked, &mut |text| {
        let wrong = wrong(sources, around, (setting, text.to_owned()));
        let before = answered_with(setting, &wrong, &sources.resolve(around.0));
        if before.is_empty() {
            return wrong;
        }
        apart = Some((wrong, before));
        Vec::new()
    })?;
    let Some((wrong, before)) = apart else { return Ok(()) };
    wrong.iter().for_each(|finding| person.refuse(finding));
    person.tell(AGAIN);
    offers.insert(setting, answer);
    for (setting, text) in before {
        sources.forget(setting);
        offers.insert(setting, text);
    }
    Ok(())
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

/// Takes an answer, or shows what is wrong with it.
pub(super) fn say(
    person: &mut dyn Person,
    sources: &mut Sources,
    around: (&Layer, &Location),
    answer: (Setting, String),
) {
    wrong(sources, around, answer).iter().for_each(|finding| person.refuse(finding));
}

/// Takes an answer, or returns what is wrong with it.
fn wrong(
    sources: &mut Sources,
    (saved, place): (&Layer, &Location),
    (setting, text): (Setting, String),
) -> Vec<Finding> {
    let texts = match setting.kind() {
        Kind::List => text.split([',', ' ']).filter(|t| !t.is_empty()).map(Into::into).collect(),
        _ => vec![text],
    };
    judged::answer(sources, saved, place, (setting, texts)).err().unwrap_or_default()
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
