//! Asks for what an installation needs and nobody has said.

use std::net::IpAddr;

use super::{Gone, Person, choose, confirm, judged, questions::Question};
use crate::{
    answers::{Layer, sources::Sources},
    args::settings::{Kind, Setting},
    finding::Finding,
    wanted::{Place, Wanted},
};

const POLICIES: &str = "\
Licence: Apache-2.0. You may use, change and pass on this software; it comes without warranty. The
whole text: https://www.apache.org/licenses/LICENSE-2.0
Privacy: nothing is collected, and nothing is sent to anybody but the hosts that you name.";

const GATEWAY: &str = "\
Clients' sessions come to the gateway on this host, at an address of its own or one that is forwarded
to it; never at a load balancer's.";

/// Why not all was answered.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The person went away.
    Gone,
    /// The answer refuses the installation.
    Refused(Vec<Finding>),
}

impl From<Gone> for Stopped {
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
    (saved, place): (&Layer, &Place),
    addresses: &[IpAddr],
) -> Result<(), Stopped> {
    while let Some(question) = Question::next(&sources.resolve(saved)) {
        match question {
            Question::Policies => {
                person.tell(POLICIES);
                if !confirm(person, &format!("{}?", question.words()))? {
                    return Err(Stopped::Refused(not_accepted(sources, saved, place)));
                }
                say(person, sources, (saved, place), ("accept-policies", "true".into()));
            }
            Question::Certificate => {
                person.tell(&format!("{}?", question.words()));
                let choices = [
                    ("false", "your own, from files (--ssl-cert, --ssl-key, --ca-cert)"),
                    ("true", "a self-signed one, for testing (--self-signed)"),
                ];
                let answer = choose(person, &choices)?;
                say(person, sources, (saved, place), ("self-signed", answer.into()));
            }
            Question::Value(name) => {
                let offered = if name == "external-pcoip-ip" {
                    person.tell(GATEWAY);
                    offer(addresses)
                } else {
                    None
                };
                ask_for(person, sources, (saved, place), (name, offered.as_deref()))?;
            }
            Question::Password(name) => {
                let typed = person.ask(&format!("{}: ", question.words()), true)?;
                say(person, sources, (saved, place), (name, (*typed).clone()));
            }
        }
    }
    Ok(())
}

/// Asks for the value of a setting until it has one; an empty line takes what is offered.
///
/// # Errors
///
/// Where the person goes away.
pub(super) fn ask_for(
    person: &mut dyn Person,
    sources: &mut Sources,
    around: (&Layer, &Place),
    (name, offered): (&'static str, Option<&str>),
) -> Result<(), Gone> {
    let words = Question::Value(name).words();
    let question = match offered {
        Some(offered) => format!("{words} [{offered}]: "),
        None => format!("{words}: "),
    };
    loop {
        let typed = person.ask(&question, false)?;
        let text = if typed.is_empty() { offered.unwrap_or_default() } else { &typed };
        if text.is_empty() {
            person.tell("an answer is needed; Ctrl-C stops, and nothing is changed");
        } else if say(person, sources, around, (name, text.to_owned())) {
            return Ok(());
        }
    }
}

/// Takes an answer, or tells what is wrong with it.
pub(super) fn say(
    person: &mut dyn Person,
    sources: &mut Sources,
    (saved, place): (&Layer, &Place),
    (name, text): (&'static str, String),
) -> bool {
    let texts = match Setting::named(name).kind {
        Kind::List => text.split([',', ' ']).filter(|t| !t.is_empty()).map(Into::into).collect(),
        _ => vec![text],
    };
    match judged::answer(sources, saved, place, (name, texts)) {
        Ok(()) => true,
        Err(findings) => {
            findings.iter().for_each(|finding| person.refuse(finding));
            false
        }
    }
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

fn not_accepted(sources: &Sources, saved: &Layer, place: &Place) -> Vec<Finding> {
    let (_, findings) = Wanted::read(&sources.resolve(saved), place.clone());
    findings.into_iter().filter(|finding| finding.id == "settings.policies").collect()
}

#[cfg(test)]
mod tests;
