//! The questions, and which of them are open: those for required settings that have no value. A setting
//! that was set to an empty value is not asked for.

use cmsg_config::values::Switch;

use crate::{
    answers::{Answers, Origin},
    args::settings::Setting,
    installation::Runtime,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether the policies are accepted.
    Policies,
    BrokerUrl,
    ExternalPcoipIp,
    /// Which certificate clients see.
    Certificate,
    SslCert,
    SslKey,
    CaCert,
    JwtVerifyingCert,
    DockerPassword,
    SsoEnrollmentPassword,
}

impl Question {
    /// The first open question.
    pub(super) fn next(answers: &Answers) -> Option<Self> {
        let is_on = |setting| {
            let value = answers.of(setting).texts.first();
            value.is_some_and(|text| text.parse() == Ok(Switch(true)))
        };
        let is_given = |setting| !answers.of(setting).texts.is_empty();
        let (manager, gateway) =
            (is_on(Setting::EnableConnectionManager), is_on(Setting::EnableSecurityGateway));
        let runtime = answers.of(Setting::Runtime).texts.first();
        let is_swarm = runtime.is_none_or(|text| text.parse() == Ok(Runtime::Swarm));
        let is_open = |question: &Self| match question {
            Self::Policies => true,
            Self::BrokerUrl => manager,
            Self::ExternalPcoipIp => gateway,
            Self::Certificate => !is_given(Setting::SslCert) && !is_given(Setting::SslKey),
            Self::SslCert | Self::SslKey | Self::CaCert => !is_on(Setting::SelfSigned),
            Self::JwtVerifyingCert => gateway && !manager,
            // On the host itself, the registry is not used.
            Self::DockerPassword => is_given(Setting::DockerUsername) && is_swarm,
            Self::SsoEnrollmentPassword => {
                is_on(Setting::EnableSso) && is_given(Setting::SsoEnrollmentUsername)
            }
        };
        let said = |question: &Self| answers.of(question.setting()).from != Origin::Default;
        ALL.into_iter().find(|question| !said(question) && is_open(question))
    }

    /// The setting that it asks for.
    pub(super) fn setting(self) -> Setting {
        match self {
            Self::Policies => Setting::AcceptPolicies,
            Self::BrokerUrl => Setting::BrokerUrl,
            Self::ExternalPcoipIp => Setting::ExternalPcoipIp,
            Self::Certificate => Setting::SelfSigned,
            Self::SslCert => Setting::SslCert,
            Self::SslKey => Setting::SslKey,
            Self::CaCert => Setting::CaCert,
            Self::JwtVerifyingCert => Setting::JwtVerifyingCert,
            Self::DockerPassword => Setting::DockerPassword,
            Self::SsoEnrollmentPassword => Setting::SsoEnrollmentPassword,
        }
    }

    /// The question, without its flag.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Policies => "Accept the license and the privacy statement",
            Self::BrokerUrl => "Connection broker URL (https://HOST[:PORT])",
            Self::ExternalPcoipIp => "Address of this host as clients reach it",
            Self::Certificate => "Which certificate should clients see?",
            Self::SslCert => "Certificate file (PEM, with the intermediate certificates)",
            Self::SslKey => "Private key file (PEM)",
            Self::CaCert => "CA certificate file (PEM)",
            Self::JwtVerifyingCert => "Verifying certificates of the connection managers (PEM)",
            Self::DockerPassword => "Password for the registry",
            Self::SsoEnrollmentPassword => "Password of the enrollment user",
        }
    }

    /// The flag that answers it.
    pub(super) fn flag(self) -> String {
        format!("--{}", self.setting())
    }
}

/// All, in the order in which they are asked.
const ALL: [Question; 10] = [
    Question::Policies,
    Question::BrokerUrl,
    Question::ExternalPcoipIp,
    Question::Certificate,
    Question::SslCert,
    Question::SslKey,
    Question::CaCert,
    Question::JwtVerifyingCert,
    Question::DockerPassword,
    Question::SsoEnrollmentPassword,
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
            (&format!("{self_signed} runtime=host"), "", ""),
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
}
