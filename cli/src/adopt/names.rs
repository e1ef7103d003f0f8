//! By what name the documented product may call a setting: a key of its configurations, or a
//! variable or argument named like the flag.

use crate::args::settings::{Kind, SETTINGS, Setting};

/// Keys of the configurations and the settings that write them.
const KEYS: [(&str, &str); 27] = [
    ("PcoipAddress", "broker-url"),
    ("BrokerCertCheck", "broker-cert-check"),
    ("ExternalRoutableIP", "external-pcoip-ip"),
    ("ExternalSecurityGateway", "external-sg-ip"),
    ("ExternalSecurityGatewayControl", "external-sg-control"),
    ("ExternalSecurityGatewayPin", "external-sg-pin"),
    ("LicenseServerAddress", "license-server-url"),
    ("AgentPort", "agent-port"),
    ("SslCertificate", "ssl-cert"),
    ("SslKey", "ssl-key"),
    ("CaCertificate", "ca-cert"),
    ("JwtSigningKey", "jwt-signing-key"),
    ("JwtVerifyingCertificate", "jwt-verifying-cert"),
    ("CollaborationEnabled", "enable-collaboration"),
    ("HorizonEnabled", "enable-horizon"),
    ("OauthEnabled", "enable-oauth"),
    ("IdProviderUrl", "id-provider-url"),
    ("OauthClientId", "oauth-client-id"),
    ("FederatedAuthUrl", "fa-url"),
    ("SsoEnabled", "enable-sso"),
    ("SsoSigningCertificate", "sso-signing-csr-ca"),
    ("SsoSigningKey", "sso-signing-csr-key"),
    ("SsoSigningCrl", "sso-signing-crl"),
    ("SsoEnrollmentUrl", "sso-enrollment-url"),
    ("SsoEnrollmentDomain", "sso-enrollment-domain"),
    ("SsoEnrollmentUsername", "sso-enrollment-username"),
    ("SsoEnrollmentTemplate", "sso-enrollment-certificate-template-name"),
];

/// Settings that concern the other product's own installation.
const NOT_ADOPTED: [&str; 10] = [
    "runtime",
    "listen",
    "self-signed",
    "ignore-disk-req",
    "accept-policies",
    "compose-file",
    "docker-registry",
    "docker-username",
    "docker-password",
    "docker-network-cidr",
];

/// The setting that a key of a configuration stands for.
pub(super) fn of_key(key: &str) -> Option<&'static Setting> {
    let known = KEYS.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
    known.map(|(_, setting)| Setting::named(setting))
}

/// The setting that a variable or an argument stands for.
pub(super) fn of_variable(name: &str) -> Option<&'static Setting> {
    let plain = plain(name);
    let plain = plain.strip_prefix("PCOIPCMSG").unwrap_or(&plain);
    let setting = SETTINGS.iter().find(|setting| self::plain(setting.name) == plain);
    let setting = setting.or_else(|| {
        let known = KEYS.iter().find(|(key, _)| self::plain(key) == plain);
        known.map(|(_, setting)| Setting::named(setting))
    });
    setting.filter(|it| it.is_kept && !NOT_ADOPTED.contains(&it.name))
}

/// The values in a text: lists are written with one of several separators.
pub(super) fn values(setting: &Setting, text: &str) -> Vec<String> {
    let one = |text: &str| text.trim().trim_matches(['"', '\'']).trim().to_owned();
    let values: Vec<String> = match setting.kind {
        Kind::Secret => vec![text.to_owned()],
        Kind::List => text.split([',', ';', ' ', '\t']).map(one).collect(),
        Kind::Switch => vec![one(text).to_ascii_lowercase()],
        Kind::One | Kind::Path => vec![one(text)],
    };
    let values = values.into_iter().filter(|value| !value.is_empty());
    values.map(|value| complete(setting, value)).collect()
}

/// A broker's address may be given without its scheme, which is always the same.
fn complete(setting: &Setting, value: String) -> String {
    if setting.name == "broker-url" && !value.contains("://") {
        return format!("https://{value}");
    }
    value
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}
