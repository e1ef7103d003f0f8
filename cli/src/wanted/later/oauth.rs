//! Authentication of clients at an identity provider.

use cmsg_config::values::{HttpsUrl, Name};

use super::{need, unsupported};
use crate::{answers::Origin, args::settings::Setting, wanted::Reader};

/// What holds as long as it has no effect.
pub(crate) const WITHOUT: &str =
    "only the broker authenticates users, and no identity provider is contacted";

/// What is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oauth {
    /// Whether it is wanted.
    pub(crate) is_enabled: bool,
    pub(crate) provider: Option<HttpsUrl>,
    /// What it calls us.
    pub(crate) client_id: Option<Name>,
    /// The federated authentication broker that agents are told.
    pub(crate) federated_auth: Option<HttpsUrl>,
}

impl Oauth {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let is_enabled = unsupported(reader, Setting::EnableOauth, WITHOUT);
        if is_enabled && reader.from(Setting::EnableOauth) == Origin::Saved {
            need(reader, Setting::EnableOauth, &[Setting::IdProviderUrl, Setting::OauthClientId]);
        }
        Self {
            is_enabled,
            provider: reader.one(Setting::IdProviderUrl),
            client_id: reader.one(Setting::OauthClientId),
            federated_auth: reader.one(Setting::FaUrl),
        }
    }
}
