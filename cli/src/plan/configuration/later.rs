//! The keys that have no effect yet.

use std::fmt::Display;

use cmsg_config::Paths;

use super::{draft::Draft, layout};
use crate::{
    args::settings::Setting,
    wanted::{
        Given,
        later::{Later, Licence, Oauth, Sso},
    },
};

/// Writes those of the Connection Manager.
pub(super) fn connection_manager(draft: &mut Draft<'_>, later: &Later, paths: &Paths) {
    let Oauth { is_enabled, provider, client_id, federated_auth } = &later.oauth;
    set(draft, "OauthEnabled", is_enabled.then_some(true));
    set(draft, "IdProviderUrl", provider.as_ref());
    set(draft, "OauthClientId", client_id.as_ref());
    set(draft, "FederatedAuthUrl", federated_auth.as_ref());

    let Sso { is_enabled, signing, url, domain, username, has_password, template } = &later.sso;
    let copy = |given: &Given| layout::copy(paths, given.setting).display().to_string();
    let [certificate, key, crl] = signing;
    let password = has_password.then(|| layout::secret(paths, Setting::SsoEnrollmentPassword));
    set(draft, "SsoEnabled", is_enabled.then_some(true));
    set(draft, "SsoSigningCertificate", certificate.as_ref().map(copy));
    set(draft, "SsoSigningKey", key.as_ref().map(copy));
    set(draft, "SsoSigningCrl", crl.as_ref().map(copy));
    set(draft, "SsoEnrollmentUrl", url.as_ref());
    set(draft, "SsoEnrollmentDomain", domain.as_ref());
    set(draft, "SsoEnrollmentUsername", username.as_ref());
    set(draft, "SsoEnrollmentPasswordFile", password.map(|path| path.display().to_string()));
    set(draft, "SsoEnrollmentTemplate", template.as_ref());

    set(draft, "HorizonEnabled", later.horizon.then_some(true));
    let (certificate, key) =
        later.licence.as_ref().map(|Licence { certificate, key }| (certificate, key)).unzip();
    set(draft, "TrustedLicenseCertificate", certificate.map(copy));
    set(draft, "TrustedLicenseKey", key.map(copy));
}

/// Writes that of the Security Gateway.
pub(super) fn security_gateway(draft: &mut Draft<'_>, later: &Later) {
    set(draft, "CollaborationEnabled", later.collaboration);
}

fn set(draft: &mut Draft<'_>, key: &str, value: Option<impl Display>) {
    match value {
        Some(value) => draft.set(key, &value.to_string()),
        None => draft.take_back(key),
    }
}
