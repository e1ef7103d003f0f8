//! Which questions are open: what an installation needs and nobody has said. Where somebody has said
//! that a value is to be empty, that is an answer.

use cmsg_config::values::Switch;

use crate::{
    answers::{Answers, Origin},
    args::settings::Setting,
};

/// Something to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether the policies are accepted.
    Policies,
    /// Whose certificate clients are shown.
    Certificate,
    /// The value of a setting.
    Value(Setting),
    /// A password.
    Password(Setting),
}

impl Question {
    /// The first that is open.
    pub(super) fn next(answers: &Answers) -> Option<Self> {
        let is_on = |setting| {
            let value = answers.of(setting).texts.first();
            value.is_some_and(|text| text.parse() == Ok(Switch(true)))
        };
        let is_given = |setting| !answers.of(setting).texts.is_empty();
        let (manager, gateway) =
            (is_on(Setting::EnableConnectionManager), is_on(Setting::EnableSecurityGateway));
        let is_open = |question: &Self| match question {
            Self::Policies => true,
            Self::Certificate => !is_given(Setting::SslCert) && !is_given(Setting::SslKey),
            Self::Value(Setting::BrokerUrl) => manager,
            Self::Value(Setting::ExternalPcoipIp) => gateway,
            Self::Value(Setting::JwtVerifyingCert) => gateway && !manager,
            Self::Value(_) => !is_on(Setting::SelfSigned),
            Self::Password(Setting::DockerPassword) => is_given(Setting::DockerUsername),
            Self::Password(_) => {
                is_on(Setting::EnableSso) && is_given(Setting::SsoEnrollmentUsername)
            }
        };
        let said = |question: &Self| answers.of(question.setting()).from != Origin::Default;
        ALL.into_iter().find(|question| !said(question) && is_open(question))
    }

    /// The setting that the answer is of.
    pub(super) fn setting(&self) -> Setting {
        match self {
            Self::Policies => Setting::AcceptPolicies,
            Self::Certificate => Setting::SelfSigned,
            Self::Value(setting) | Self::Password(setting) => *setting,
        }
    }

    /// The question, with its flag.
    pub(super) fn words(&self) -> String {
        let setting = self.setting();
        let words = match setting {
            Setting::AcceptPolicies => "Do you accept both",
            Setting::BrokerUrl => "Connection broker, https://HOST[:PORT]",
            Setting::ExternalPcoipIp => "Address of this host's gateway, as clients see it",
            Setting::SelfSigned => "Which certificate do clients see",
            Setting::SslCert => "File with the certificate, followed by its chain (PEM)",
            Setting::SslKey => "File with its key (PEM)",
            Setting::CaCert => "File with the certificates of the authority (PEM)",
            Setting::JwtVerifyingCert => {
                "File with the connection managers' verifying certificates (PEM)"
            }
            Setting::DockerPassword => "Password at the registry",
            _ => "Password of the user who enrolls",
        };
        format!("{words} (--{setting})")
    }
}

/// All, in the order in which they are asked.
const ALL: [Question; 10] = [
    Question::Policies,
    Question::Value(Setting::BrokerUrl),
    Question::Value(Setting::ExternalPcoipIp),
    Question::Certificate,
    Question::Value(Setting::SslCert),
    Question::Value(Setting::SslKey),
    Question::Value(Setting::CaCert),
    Question::Value(Setting::JwtVerifyingCert),
    Question::Password(Setting::DockerPassword),
    Question::Password(Setting::SsoEnrollmentPassword),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::settings::Layer;

    /// The settings that are asked for one after the other, each answered with a text.
    fn asked(flags: &str, certificate: &str) -> String {
        let flag = |word: &str| {
            let (name, text) = word.split_once('=').unwrap();
            (Setting::find(name).unwrap(), vec![text.to_owned()])
        };
        let flags: Layer = flags.split_whitespace().map(flag).collect();
        let mut prompted = Layer::new();
        let mut asked = Vec::new();
        loop {
            let layers = [(Origin::Flag, &flags), (Origin::Prompt, &prompted)];
            let Some(question) = Question::next(&Answers::resolve(&layers)) else {
                return asked.join(" ");
            };
            let text = match question {
                Question::Policies => "true",
                Question::Certificate => certificate,
                _ => "x",
            };
            prompted.insert(question.setting(), vec![text.to_owned()]);
            asked.push(question.setting().as_str());
        }
    }

    #[test]
    fn what_an_installation_lacks_is_asked_once_and_in_order() {
        const REST: &str = "accept-policies=true broker-url=u external-pcoip-ip=i";
        let self_signed = &format!("{REST} self-signed=true docker-username=n");
        let table = [
            ("", "true", "accept-policies broker-url external-pcoip-ip self-signed"),
            (
                "accept-policies=true enable-security-gateway=false",
                "false",
                "broker-url self-signed ssl-cert ssl-key ca-cert",
            ),
            (
                "enable-connection-manager=off self-signed=yes",
                "",
                "accept-policies external-pcoip-ip jwt-verifying-cert",
            ),
            (&format!("{REST} ssl-key=k"), "", "ssl-cert ca-cert"),
            (&format!("{REST} self-signed=false ca-cert=c"), "", "ssl-cert ssl-key"),
            (&format!("{REST} ca-cert=c"), "true", "self-signed"),
            ("accept-policies=false broker-url= external-pcoip-ip=i", "true", "self-signed"),
            (self_signed, "", "docker-password"),
            (&format!("{self_signed} docker-password="), "", ""),
            (
                &format!("{self_signed} enable-sso=true sso-enrollment-username=n"),
                "",
                "docker-password sso-enrollment-password",
            ),
            (&format!("{REST} self-signed=true sso-enrollment-username=n"), "", ""),
        ];
        for (flags, certificate, names) in table {
            assert_eq!(asked(flags, certificate), names, "{flags}");
        }
    }

    #[test]
    fn every_question_names_its_flag() {
        for question in ALL {
            let words = question.words();

            assert!(words.ends_with(&format!(" (--{})", question.setting())), "{words}");
        }
    }
}
