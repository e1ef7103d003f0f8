//! What was answered and by whom: flags, then the environment, then the answers file, then the
//! answers saved by the last installation, then a person who is asked, then defaults. Texts only; `wanted` gives them meaning.

mod environment;
pub(crate) mod file;
pub(crate) mod secrets;
pub(crate) mod settle;
pub(crate) mod sources;

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use cmsg_config::values::{ForGateway, GatewayName, GatewayPin};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::settings::{Kind, Layer, Setting},
    finding::Finding,
};

/// Who answered, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    Default,
    /// A person who was asked.
    Prompt,
    Saved,
    /// The installation that is taken over.
    Adopted,
    /// The administrator, in the configuration files.
    Edited,
    Answers,
    Environment,
    Flag,
}

/// The values of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The values; none where the setting is empty.
    pub(crate) texts: Vec<String>,
    pub(crate) from: Origin,
}

/// The values of all settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers(BTreeMap<Setting, Answer>);

impl Answers {
    /// Takes each setting from the strongest source that has it.
    pub(crate) fn resolve(layers: &[(Origin, &Layer)]) -> Self {
        let answer = |setting: &Setting| {
            let given = layers
                .iter()
                .filter_map(|(from, layer)| Some((*from, layer.get(setting)?)))
                .max_by_key(|(from, _)| *from);
            let (from, texts) = match given {
                Some((from, texts)) => (from, texts.clone()),
                None => (Origin::Default, vec![setting.row().default.to_owned()]),
            };
            let texts = texts.iter().filter(|text| !text.is_empty());
            let texts = texts.map(|text| secrets::shown(*setting, from, text)).collect();
            (*setting, Answer { texts, from })
        };
        let mut answers = Self(Setting::ALL.iter().map(answer).collect());
        answers.settle_certificate();
        answers.settle_clearing();
        answers.settle_sso();
        answers.settle_gateways();
        answers
    }

    /// The answer to one setting.
    pub(crate) fn of(&self, setting: Setting) -> &Answer {
        &self.0[&setting]
    }

    /// What the last installation answered differently from the default and nobody changed.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (Setting, &Answer)> {
        self.all().filter(|(setting, answer)| {
            matches!(answer.from, Origin::Saved | Origin::Adopted)
                && answer.texts != default_texts(*setting)
        })
    }

    /// All settings in the order of the table.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Setting, &Answer)> {
        Setting::ALL.iter().map(|setting| (*setting, self.of(*setting)))
    }

    /// The settings that are kept and whose values differ, with the values before.
    pub(crate) fn changed<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (Setting, &'a Answer, &'a Answer)> {
        self.all()
            .map(|(setting, answer)| (setting, before.of(setting), answer))
            .filter(|(setting, old, new)| setting.row().is_kept && old.texts != new.texts)
    }

    /// The same as `document`, where the settings that differ from those before have these as
    /// `was`.
    pub(crate) fn document_since(&self, before: Option<&Self>) -> Value {
        let mut document = self.document();
        for (setting, old, new) in before.into_iter().flat_map(|before| self.changed(before)) {
            document[setting.as_str()] = json!({
                "value": file::value(setting, &new.texts),
                "from": new.from,
                "was": file::value(setting, &old.texts),
            });
        }
        document
    }

    /// `{"broker-url": {"value": "…", "from": "flag"}}`; settings without a value are left out.
    pub(crate) fn document(&self) -> Value {
        let rows = self.all().filter(|(_, answer)| !answer.texts.is_empty());
        let row = |(setting, answer): (Setting, &Answer)| {
            let value = file::value(setting, &answer.texts);
            (setting.to_string(), json!({ "value": value, "from": answer.from }))
        };
        Value::Object(rows.map(row).collect())
    }

    /// What was said of gateways before goes with those that a stronger list leaves out.
    fn settle_gateways(&mut self) {
        let gateways = self.of(Setting::ExternalSgIp).clone();
        for setting in [Setting::ExternalSgControl, Setting::ExternalSgPin] {
            let answer = self.of(setting);
            if answer.from >= gateways.from {
                continue;
            }
            let stays = |text: &&String| {
                text.split_once('=').is_none_or(|(gateway, _)| is_among(gateway, &gateways.texts))
            };
            let texts = answer.texts.iter().filter(stays).cloned().collect();
            let settled = Answer { texts, from: answer.from };
            self.0.insert(setting, settled);
        }
        self.settle_pins();
    }

    /// A pin for a control address goes with that address.
    fn settle_pins(&mut self) {
        let [gateways, controls, pins] =
            [Setting::ExternalSgIp, Setting::ExternalSgControl, Setting::ExternalSgPin]
                .map(|setting| self.of(setting).clone());
        if pins.from >= gateways.from.max(controls.from) {
            return;
        }
        let addresses = gateways.texts.iter().filter_map(|text| text.trim().parse().ok());
        let of: Vec<_> = controls.texts.iter().filter_map(|text| text.parse().ok()).collect();
        let known: Vec<_> = addresses.flat_map(|it| ForGateway::controls_of(it, &of)).collect();
        let stays = |text: &&String| match text.parse() {
            Ok(GatewayPin { gateway: GatewayName::Control(control), .. }) => {
                known.contains(&control)
            }
            _ => true,
        };
        let texts = pins.texts.iter().filter(stays).cloned().collect();
        self.0.insert(Setting::ExternalSgPin, Answer { texts, from: pins.from });
    }

    /// A given certificate and a self-signed one exclude each other. What was said more strongly
    /// holds, so that the other need not be taken back in every later command; a tie goes to
    /// `self-signed`, as the guide has it.
    fn settle_certificate(&mut self) {
        let self_signed = self.of(Setting::SelfSigned);
        if self_signed.texts != ["true"] {
            return;
        }
        let given = [Setting::SslCert, Setting::SslKey].map(|setting| self.of(setting));
        let given = given.iter().filter(|answer| !answer.texts.is_empty()).map(|a| a.from).max();
        match given {
            Some(from) if from > self_signed.from => {
                let refused = Answer { texts: vec!["false".to_owned()], from };
                self.0.insert(Setting::SelfSigned, refused);
            }
            _ => {
                for setting in [Setting::SslCert, Setting::SslKey] {
                    self.0.insert(setting, Answer { texts: Vec::new(), from: Origin::Default });
                }
            }
        }
    }
}

fn is_among(gateway: &str, gateways: &[String]) -> bool {
    let address = |text: &str| text.trim().parse::<IpAddr>().ok();
    address(gateway).is_none_or(|one| gateways.iter().any(|other| address(other) == Some(one)))
}

/// The values that hold where nobody gives any.
pub(crate) fn default_texts(setting: Setting) -> Vec<String> {
    Some(setting.row().default.to_owned()).into_iter().filter(|text| !text.is_empty()).collect()
}

/// Makes the paths of a layer absolute, so that they mean the same in a later command.
///
/// # Errors
///
/// Where a path cannot stand in a configuration file.
pub(crate) fn absolute(layer: &mut Layer, folder: &Path) -> Result<(), Vec<Finding>> {
    let mut findings = Vec::new();
    for (setting, texts) in layer {
        if setting.kind() != Kind::Path {
            continue;
        }
        for text in texts.iter_mut().filter(|text| !text.is_empty()) {
            if text.contains(char::is_control) || text.trim() != text {
                findings.push(Finding::error(
                    "usage.path",
                    format!("`--{setting}`: {text:?} starts or ends with a space, or contains a control character"),
                    "use another path",
                ));
            }
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(pairs: &[(Setting, &str)]) -> Layer {
        pairs.iter().map(|(setting, text)| (*setting, vec![(*text).to_owned()])).collect()
    }

    fn answer(text: &str, from: Origin) -> Answer {
        Answer { texts: vec![text.to_owned()], from }
    }

    #[test]
    fn the_strongest_source_answers() {
        let flags = layer(&[(Setting::AgentPort, "1")]);
        let environment =
            layer(&[(Setting::AgentPort, "2"), (Setting::BrokerUrl, "https://environment")]);
        let saved = layer(&[(Setting::BrokerUrl, "https://saved"), (Setting::EnableIpv6, "true")]);

        let answers = Answers::resolve(&[
            (Origin::Saved, &saved),
            (Origin::Flag, &flags),
            (Origin::Environment, &environment),
        ]);

        assert_eq!(answers.of(Setting::AgentPort), &answer("1", Origin::Flag));
        assert_eq!(
            answers.of(Setting::BrokerUrl),
            &answer("https://environment", Origin::Environment)
        );
        assert_eq!(answers.of(Setting::EnableIpv6), &answer("true", Origin::Saved));
        assert_eq!(answers.of(Setting::Runtime), &answer("swarm", Origin::Default));
        assert_eq!(answers.of(Setting::Root), &Answer { texts: vec![], from: Origin::Default });
    }

    #[test]
    fn an_empty_value_takes_a_weaker_one_back() {
        let flags = layer(&[(Setting::LicenseServerUrl, "")]);
        let saved = layer(&[(Setting::LicenseServerUrl, "https://lls")]);

        let answers = Answers::resolve(&[(Origin::Flag, &flags), (Origin::Saved, &saved)]);

        assert_eq!(
            answers.of(Setting::LicenseServerUrl),
            &Answer { texts: vec![], from: Origin::Flag }
        );
    }

    #[test]
    fn the_stronger_of_a_given_and_a_self_signed_certificate_holds() {
        let given = layer(&[(Setting::SslCert, "/c"), (Setting::SslKey, "/k")]);
        let own = layer(&[(Setting::SelfSigned, "true")]);
        let table = [
            (Origin::Flag, Origin::Saved, "false", 1),
            (Origin::Saved, Origin::Flag, "true", 0),
            (Origin::Flag, Origin::Flag, "true", 0),
        ];
        for (given_from, own_from, self_signed, certificates) in table {
            let answers = Answers::resolve(&[(given_from, &given), (own_from, &own)]);

            assert_eq!(answers.of(Setting::SelfSigned).texts, [self_signed]);
            assert_eq!(answers.of(Setting::SslCert).texts.len(), certificates);
        }
    }

    #[test]
    fn what_was_saved_of_a_gateway_goes_with_it() {
        let flags: Layer =
            [(Setting::ExternalSgIp, vec!["192.0.2.1".to_owned(), "2001:db8:0::1".to_owned()])]
                .into();
        let pins = ["192.0.2.1=a", "192.0.2.9=b", "2001:db8::1=c", "odd"].map(str::to_owned);
        let saved: Layer = [(Setting::ExternalSgPin, pins.clone().into())].into();
        let said: Layer = [flags.clone(), saved.clone()].into_iter().flatten().collect();

        let settled = Answers::resolve(&[(Origin::Flag, &flags), (Origin::Saved, &saved)]);
        let given = Answers::resolve(&[(Origin::Flag, &said)]);

        assert_eq!(
            settled.of(Setting::ExternalSgPin).texts,
            ["192.0.2.1=a", "2001:db8::1=c", "odd"]
        );
        assert_eq!(given.of(Setting::ExternalSgPin).texts, pins);
    }

    #[test]
    fn a_saved_pin_for_a_control_address_goes_with_it() {
        let pin = |control: &str| format!("{control}=sha256:{}", "0".repeat(64));
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let saved: Layer = [
            (Setting::ExternalSgIp, texts(&["192.0.2.1", "192.0.2.2"])),
            (Setting::ExternalSgControl, texts(&["192.0.2.1=sg1:443", "192.0.2.1=sg2:443"])),
            (Setting::ExternalSgPin, ["sg1:443", "sg2:443", "192.0.2.2:443"].map(pin).into()),
        ]
        .into();
        let table = [
            (
                Setting::BrokerUrl,
                texts(&["https://b"]),
                vec!["sg1:443", "sg2:443", "192.0.2.2:443"],
            ),
            (Setting::ExternalSgIp, texts(&["192.0.2.1"]), vec!["sg1:443", "sg2:443"]),
            (Setting::ExternalSgIp, texts(&["192.0.2.2"]), vec!["192.0.2.2:443"]),
            (
                Setting::ExternalSgControl,
                texts(&["192.0.2.1=sg2:443"]),
                vec!["sg2:443", "192.0.2.2:443"],
            ),
        ];
        for (setting, given, kept) in table {
            let flags: Layer = [(setting, given)].into();

            let answers = Answers::resolve(&[(Origin::Flag, &flags), (Origin::Saved, &saved)]);

            let kept: Vec<_> = kept.into_iter().map(pin).collect();
            assert_eq!(answers.of(Setting::ExternalSgPin).texts, kept, "{setting}");
        }
    }

    #[test]
    fn what_was_kept_is_told_only_where_it_differs_from_the_default() {
        let saved = layer(&[(Setting::EnableIpv6, "false"), (Setting::AgentPort, "6000")]);

        let answers = Answers::resolve(&[(Origin::Saved, &saved)]);

        let kept: Vec<_> = answers.kept().map(|(setting, _)| setting).collect();
        assert_eq!(kept, [Setting::AgentPort]);
    }

    #[test]
    fn relative_paths_become_absolute_and_bad_ones_are_refused() {
        let mut relative = layer(&[
            (Setting::SslCert, "certs/a.crt"),
            (Setting::Root, "/r"),
            (Setting::Listen, "x"),
        ]);
        let mut bad = layer(&[(Setting::Root, "/r\n")]);

        assert_eq!(absolute(&mut relative, Path::new("/here")), Ok(()));
        assert_eq!(
            relative,
            layer(&[
                (Setting::SslCert, "/here/certs/a.crt"),
                (Setting::Root, "/r"),
                (Setting::Listen, "x")
            ])
        );
        assert_eq!(absolute(&mut bad, Path::new("/here")).unwrap_err()[0].id, "usage.path");
    }

    #[test]
    fn the_document_types_values_and_names_their_origin() {
        let flags: Layer = [(Setting::ExternalSgIp, vec!["192.0.2.1".to_owned()])].into();

        let document = Answers::resolve(&[(Origin::Flag, &flags)]).document();

        assert_eq!(document["external-sg-ip"], json!({ "value": ["192.0.2.1"], "from": "flag" }));
        assert_eq!(document["enable-ipv6"], json!({ "value": false, "from": "default" }));
        assert_eq!(document["runtime"], json!({ "value": "swarm", "from": "default" }));
        assert_eq!(document.get("broker-url"), None);
    }
}
