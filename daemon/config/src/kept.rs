//! Keys of the Connection Manager for functions that are not implemented. They have no effect, but
//! invalid values are reported.

use std::path::PathBuf;

use crate::{
    reader::Reader,
    values::{AbsolutePath, Domain, HttpsUrl, Name, Switch},
};

/// The keys without effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// `OauthEnabled` and the keys of OAuth.
    pub oauth: Oauth,
    /// `SsoEnabled` and the keys of single sign-on.
    pub sso: Sso,
    /// `HorizonEnabled`: whether VMware Horizon is the broker.
    pub horizon: bool,
    /// PEM files of the certificate and key of a trusted customer licence.
    pub trusted_license: (Option<PathBuf>, Option<PathBuf>),
}

/// Authentication of clients by an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oauth {
    /// `OauthEnabled`: whether OAuth is requested.
    pub is_enabled: bool,
    /// URL of the identity provider.
    pub provider: Option<HttpsUrl>,
    /// The client ID that the provider assigned to this host.
    pub client_id: Option<Name>,
    /// URL of the federated authentication broker, as sent to agents.
    pub federated_auth: Option<HttpsUrl>,
}

/// Single sign-on to desktops with certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sso {
    /// `SsoEnabled`: whether single sign-on is requested.
    pub is_enabled: bool,
    /// Certificates are signed on this host.
    pub signing: Signing,
    /// Certificates are requested from a certification authority.
    pub enrollment: Enrollment,
}

/// The intermediate CA on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// PEM file of the CA certificate.
    pub certificate: Option<PathBuf>,
    /// PEM file of the CA certificate's key.
    pub key: Option<PathBuf>,
    /// Certificate revocation list of this CA.
    pub crl: Option<PathBuf>,
}

/// The web enrollment service of a certification authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// URL of the service.
    pub url: Option<HttpsUrl>,
    /// Windows domain of the enrollment account.
    pub domain: Option<Domain>,
    /// Name of the account that enrols.
    pub username: Option<Name>,
    /// File with the password of the account.
    pub password_file: Option<PathBuf>,
    /// Certificate template that the service applies.
    pub template: Option<Name>,
}

impl Kept {
    /// Reads all keys before returning, so that all invalid values are reported at once.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let oauth = reader.one::<Switch>("OauthEnabled");
        let (provider, client_id) = (reader.maybe("IdProviderUrl"), reader.maybe("OauthClientId"));
        let federated_auth = reader.maybe("FederatedAuthUrl");
        let sso = reader.one::<Switch>("SsoEnabled");
        let signing = Signing {
            certificate: path(reader, "SsoSigningCertificate"),
            key: path(reader, "SsoSigningKey"),
            crl: path(reader, "SsoSigningCrl"),
        };
        let enrollment = Enrollment {
            url: reader.maybe("SsoEnrollmentUrl"),
            domain: reader.maybe("SsoEnrollmentDomain"),
            username: reader.maybe("SsoEnrollmentUsername"),
            password_file: path(reader, "SsoEnrollmentPasswordFile"),
            template: reader.maybe("SsoEnrollmentTemplate"),
        };
        let horizon = reader.one::<Switch>("HorizonEnabled");
        let trusted_license =
            (path(reader, "TrustedLicenseCertificate"), path(reader, "TrustedLicenseKey"));
        Some(Self {
            oauth: Oauth { is_enabled: oauth?.0, provider, client_id, federated_auth },
            sso: Sso { is_enabled: sso?.0, signing, enrollment },
            horizon: horizon?.0,
            trusted_license,
        })
    }
}

fn path(reader: &mut Reader<'_>, key: &'static str) -> Option<PathBuf> {
    reader.maybe::<AbsolutePath>(key).map(|path| path.0)
}

#[cfg(test)]
mod tests {
    use crate::{ConfFile, ConnectionManager};

    const LEAST: &str = "PcoipAddress = https://broker.example\nSecurityGatewayEnabled = false\n";

    #[test]
    fn keys_without_effect_are_read_and_off_by_default() {
        let read = |text: &str| {
            let file = ConfFile::parse(&format!("{LEAST}{text}"));
            ConnectionManager::read(&file).unwrap()
        };

        let off = read("").value.kept;
        let on = read("OauthEnabled = true\nIdProviderUrl = https://idp.example\n");

        assert!(!off.oauth.is_enabled && !off.sso.is_enabled && !off.horizon);
        assert_eq!(on.warnings, []);
        assert!(on.value.kept.oauth.is_enabled);
        assert_eq!(on.value.kept.oauth.provider, Some("https://idp.example".parse().unwrap()));
    }

    #[test]
    fn a_bad_value_of_a_key_without_effect_is_reported() {
        let text = format!("{LEAST}IdProviderUrl = http://idp\nSsoEnrollmentDomain = 192.0.2.1\n");

        let error = ConnectionManager::read(&ConfFile::parse(&text)).unwrap_err().to_string();

        assert_eq!(
            error,
            "line 3: `IdProviderUrl`: `http://idp` is not a URL of the form \
             `https://HOST[:PORT][/PATH]`; \
             line 4: `SsoEnrollmentDomain`: `192.0.2.1` is not the name of a domain"
        );
    }
}
