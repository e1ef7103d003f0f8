//! Authentication of clients at an identity provider.

use cmsg_config::values::{HttpsUrl, Name};

use super::{need, unsupported};
use crate::{answers::Origin, wanted::Reader};

/// What holds as long as it has no effect.
pub(crate) const WITHOUT: &str =
    "the broker alone authenticates users, and no identity provider is asked";

/// What is said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Oauth {
    /// Whether it is wanted.
    pub(crate) is_enabled: bool,
    /// The provider.
    pub(crate) provider: Option<HttpsUrl>,
    /// What it calls us.
    pub(crate) client_id: Option<Name>,
    /// The federated authentication broker that agents are told.
    pub(crate) federated_auth: Option<HttpsUrl>,
}

impl Oauth {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let is_enabled = unsupported(reader, "enable-oauth", WITHOUT);
        if is_enabled && reader.from("enable-oauth") == Origin::Saved {
            need(reader, "`--enable-oauth`", &["id-provider-url", "oauth-client-id"]);
        }
        Self {
            is_enabled,
            provider: reader.one("id-provider-url"),
            client_id: reader.one("oauth-client-id"),
            federated_auth: reader.one("fa-url"),
        }
    }
}
