//! By what name the documented product may call a setting: a key of its configurations, or a
//! variable or argument named like the flag.

use crate::args::settings::{Kind, Setting};

/// Keys of the configurations and the settings that write them.
const KEYS: [(&str, Setting); 27] = [
    ("PcoipAddress", Setting::BrokerUrl),
    ("BrokerCertCheck", Setting::BrokerCertCheck),
    ("ExternalRoutableIP", Setting::ExternalPcoipIp),
    ("ExternalSecurityGateway", Setting::ExternalSgIp),
    ("ExternalSecurityGatewayControl", Setting::ExternalSgControl),
    ("ExternalSecurityGatewayPin", Setting::ExternalSgPin),
    ("LicenseServerAddress", Setting::LicenseServerUrl),
    ("AgentPort", Setting::AgentPort),
    ("SslCertificate", Setting::SslCert),
    ("SslKey", Setting::SslKey),
    ("CaCertificate", Setting::CaCert),
    ("JwtSigningKey", Setting::JwtSigningKey),
    ("JwtVerifyingCertificate", Setting::JwtVerifyingCert),
    ("CollaborationEnabled", Setting::EnableCollaboration),
    ("HorizonEnabled", Setting::EnableHorizon),
    ("OauthEnabled", Setting::EnableOauth),
    ("IdProviderUrl", Setting::IdProviderUrl),
    ("OauthClientId", Setting::OauthClientId),
    ("FederatedAuthUrl", Setting::FaUrl),
    ("SsoEnabled", Setting::EnableSso),
    ("SsoSigningCertificate", Setting::SsoSigningCsrCa),
    ("SsoSigningKey", Setting::SsoSigningCsrKey),
    ("SsoSigningCrl", Setting::SsoSigningCrl),
    ("SsoEnrollmentUrl", Setting::SsoEnrollmentUrl),
    ("SsoEnrollmentDomain", Setting::SsoEnrollmentDomain),
    ("SsoEnrollmentUsername", Setting::SsoEnrollmentUsername),
    ("SsoEnrollmentTemplate", Setting::SsoEnrollmentCertificateTemplateName),
];

/// Settings that concern the other product's own installation.
const NOT_ADOPTED: [Setting; 10] = [
    Setting::Runtime,
    Setting::Listen,
    Setting::SelfSigned,
    Setting::IgnoreDiskReq,
    Setting::AcceptPolicies,
    Setting::ComposeFile,
    Setting::DockerRegistry,
    Setting::DockerUsername,
    Setting::DockerPassword,
    Setting::DockerNetworkCidr,
];

/// The setting that a key of a configuration stands for.
pub(super) fn of_key(key: &str) -> Option<Setting> {
    let known = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    known.map(|(_, setting)| *setting)
}

/// The setting that a variable or an argument stands for.
pub(super) fn of_variable(name: &str) -> Option<Setting> {
    let plain = plain(name);
    let plain = plain.strip_prefix("PCOIPCMSG").unwrap_or(&plain);
    let setting =
        Setting::ALL.iter().copied().find(|setting| self::plain(setting.as_str()) == plain);
    let setting = setting.or_else(|| {
        let known = KEYS.iter().find(|(key, _)| self::plain(key) == plain);
        known.map(|(_, setting)| *setting)
    });
    setting.filter(|it| it.row().is_kept && !NOT_ADOPTED.contains(it))
}

/// The values in a text: lists are written with one of several separators.
pub(super) fn values(setting: Setting, text: &str) -> Vec<String> {
    let one = |text: &str| text.trim().trim_matches(['"', '\'']).trim().to_owned();
    let values: Vec<String> = match setting.kind() {
        Kind::Secret => vec![text.to_owned()],
        Kind::List => text.split([',', ';', ' ', '\t']).map(one).collect(),
        Kind::Switch => vec![one(text).to_ascii_lowercase()],
        Kind::One | Kind::Path => vec![one(text)],
    };
    let values = values.into_iter().filter(|value| !value.is_empty());
    values.map(|value| complete(setting, value)).collect()
}

/// A broker's address may be given without its scheme, which is always the same.
fn complete(setting: Setting, value: String) -> String {
    if setting == Setting::BrokerUrl && !value.contains("://") {
        return format!("https://{value}");
    }
    value
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}
