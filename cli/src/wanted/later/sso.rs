//! Logging users on to their desktops by certificates, which are signed here or enrolled for.

use cmsg_config::values::{Domain, HttpsUrl, Name};

use super::{need, unsupported};
use crate::{
    answers::{
        Origin,
        settle::{SSO_ENROLLMENT, SSO_SIGNING},
    },
    args::settings::Setting,
    wanted::{Given, Reader},
};

/// What holds as long as it has no effect.
pub(crate) const WITHOUT: &str = "users log on to their desktops with their passwords";

/// What is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sso {
    /// Whether it is wanted.
    pub(crate) is_enabled: bool,
    /// Certificate, key and revocations of the intermediate authority.
    pub(crate) signing: [Option<Given>; 3],
    /// The web enrollment service.
    pub(crate) url: Option<HttpsUrl>,
    /// The domain of the user.
    pub(crate) domain: Option<Domain>,
    pub(crate) username: Option<Name>,
    /// Whether the user has a password.
    pub(crate) has_password: bool,
    /// The template of the certificates.
    pub(crate) template: Option<Name>,
}

impl Sso {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let is_enabled = unsupported(reader, Setting::EnableSso, WITHOUT);
        if is_enabled && reader.from(Setting::EnableSso) == Origin::Saved {
            ways(reader);
        }
        Self {
            is_enabled,
            signing: SSO_SIGNING.map(|setting| reader.given(setting)),
            url: reader.one(Setting::SsoEnrollmentUrl),
            domain: reader.one(Setting::SsoEnrollmentDomain),
            username: reader.one(Setting::SsoEnrollmentUsername),
            has_password: !reader.is_empty(Setting::SsoEnrollmentPassword),
            template: reader.one(Setting::SsoEnrollmentCertificateTemplateName),
        }
    }

    /// The files of the operator's.
    pub(super) fn given(&self) -> impl Iterator<Item = &Given> {
        self.signing.iter().flatten()
    }
}

/// There is one way to sign, and it is complete.
fn ways(reader: &mut Reader<'_>) {
    const ID: &str = "settings.sso";
    const ONE: &str = "use either `--sso-signing-csr-ca` and `--sso-signing-csr-key`, or all \
                       `--sso-enrollment-…` flags";
    let given = |settings: &[Setting]| settings.iter().any(|setting| !reader.is_empty(*setting));
    match (given(&SSO_SIGNING), given(&SSO_ENROLLMENT)) {
        (true, true) => {
            let what = "`--sso-signing-…` and `--sso-enrollment-…` flags are both set";
            reader.refuse(ID, what, ONE);
        }
        (false, false) => {
            reader.refuse(ID, "`--enable-sso` needs a way to sign certificates", ONE);
        }
        (true, false) => need(reader, Setting::EnableSso, &SSO_SIGNING[..2]),
        (false, true) => need(reader, Setting::EnableSso, &SSO_ENROLLMENT),
    }
}
