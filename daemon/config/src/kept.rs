//! What the Connection Manager is told for functions that it does not have yet. It is read, so that
//! a bad value is reported, and has no effect.

use std::path::PathBuf;

use crate::{
    reader::Reader,
    values::{AbsolutePath, Domain, HttpsUrl, Name, Switch},
};

/// Everything that has no effect yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Authentication at an identity provider.
    pub oauth: Oauth,
    /// Logging users on to their desktops.
    pub sso: Sso,
    /// Whether VMware Horizon is the broker.
    pub horizon: bool,
    /// Certificate and key of a trusted customer licence.
    pub trusted_license: (Option<PathBuf>, Option<PathBuf>),
}

/// Authentication at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oauth {
    /// Whether it is wanted.
    pub is_enabled: bool,
    /// The provider.
    pub provider: Option<HttpsUrl>,
    /// What it calls us.
    pub client_id: Option<Name>,
    /// The federated authentication broker that agents are told.
    pub federated_auth: Option<HttpsUrl>,
}

/// Logging users on to their desktops by certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sso {
    /// Whether it is wanted.
    pub is_enabled: bool,
    /// Certificates are signed here.
    pub signing: Signing,
    /// Certificates are signed by a certification authority.
    pub enrollment: Enrollment,
}

/// The intermediate authority of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signing {
    /// Its certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// What it revoked.
    pub crl: Option<PathBuf>,
}

/// The web enrolment service of a certification authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// Where it is.
    pub url: Option<HttpsUrl>,
    /// The domain of the user.
    pub domain: Option<Domain>,
    /// The user.
    pub username: Option<Name>,
    /// The file with the user's password.
    pub password_file: Option<PathBuf>,
    /// The template of the certificates.
    pub template: Option<Name>,
}

impl Kept {
    /// Reads all of it before it judges, so that every bad value is reported.
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
    fn what_has_no_effect_yet_is_read_and_off_by_default() {
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
    fn a_bad_value_is_reported_although_it_would_have_no_effect() {
        let text = format!("{LEAST}IdProviderUrl = http://idp\nSsoEnrollmentDomain = 192.0.2.1\n");

        let told = ConnectionManager::read(&ConfFile::parse(&text)).unwrap_err().to_string();

        assert_eq!(
            told,
            "line 3: `IdProviderUrl`: `http://idp` is not a URL of the form \
             `https://HOST[:PORT][/PATH]`; \
             line 4: `SsoEnrollmentDomain`: `192.0.2.1` is not the name of a domain"
        );
    }
}
