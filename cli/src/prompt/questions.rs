//! Which questions are open: what an installation needs and nobody has said. Where somebody has said
//! that a value is to be empty, that is an answer.

use cmsg_config::values::Switch;

use crate::answers::{Answers, Origin};

/// Something to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether the policies are accepted.
    Policies,
    /// Whose certificate clients are shown.
    Certificate,
    /// The value of a setting.
    Value(&'static str),
    /// A password.
    Password(&'static str),
}

impl Question {
    /// The first that is open.
    pub(super) fn next(answers: &Answers) -> Option<Self> {
        let is_on = |name| {
            let value = answers.of(name).texts.first();
            value.is_some_and(|text| text.parse() == Ok(Switch(true)))
        };
        let is_given = |name| !answers.of(name).texts.is_empty();
        let (manager, gateway) =
            (is_on("enable-connection-manager"), is_on("enable-security-gateway"));
        let is_open = |question: &Self| match question {
            Self::Policies => true,
            Self::Certificate => !is_given("ssl-cert") && !is_given("ssl-key"),
            Self::Value("broker-url") => manager,
            Self::Value("external-pcoip-ip") => gateway,
            Self::Value("jwt-verifying-cert") => gateway && !manager,
            Self::Value(_) => !is_on("self-signed"),
            Self::Password("docker-password") => is_given("docker-username"),
            Self::Password(_) => is_on("enable-sso") && is_given("sso-enrollment-username"),
        };
        let said = |question: &Self| answers.of(question.setting()).from != Origin::Default;
        ALL.into_iter().find(|question| !said(question) && is_open(question))
    }

    /// The setting that the answer is of.
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::Policies => "accept-policies",
            Self::Certificate => "self-signed",
            Self::Value(name) | Self::Password(name) => name,
        }
    }

    /// The question, with its flag.
    pub(super) fn words(&self) -> String {
        let name = self.setting();
        let words = match name {
            "accept-policies" => "Do you accept both",
            "broker-url" => "Connection broker, https://HOST[:PORT]",
            "external-pcoip-ip" => "Address of this host's gateway, as clients see it",
            "self-signed" => "Which certificate do clients see",
            "ssl-cert" => "File with the certificate, followed by its chain (PEM)",
            "ssl-key" => "File with its key (PEM)",
            "ca-cert" => "File with the certificates of the authority (PEM)",
            "jwt-verifying-cert" => {
                "File with the connection managers' verifying certificates (PEM)"
            }
            "docker-password" => "Password at the registry",
            _ => "Password of the user who enrolls",
        };
        format!("{words} (--{name})")
    }
}

/// All, in the order in which they are asked.
const ALL: [Question; 10] = [
    Question::Policies,
    Question::Value("broker-url"),
    Question::Value("external-pcoip-ip"),
    Question::Certificate,
    Question::Value("ssl-cert"),
    Question::Value("ssl-key"),
    Question::Value("ca-cert"),
    Question::Value("jwt-verifying-cert"),
    Question::Password("docker-password"),
    Question::Password("sso-enrollment-password"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::settings::{Layer, Setting};

    /// The settings that are asked for one after the other, each answered with a text.
    fn asked(flags: &str, certificate: &str) -> String {
        let flag = |word: &str| {
            let (name, text) = word.split_once('=').unwrap();
            (Setting::named(name).name, vec![text.to_owned()])
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
            asked.push(question.setting());
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
