//! The user's credentials, which broker, agent and client share.

use secrecy::{ExposeSecret as _, SecretString};

/// A user's name, password and domain.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: String,
    pub password: SecretString,
    /// The domain that knows the user.
    pub domain: String,
}

impl Credentials {
    /// Tells whether these three are the same.
    pub(crate) fn are(&self, user: &str, password: &str, domain: &str) -> bool {
        self.user == user && self.password.expose_secret() == password && self.domain == domain
    }
}
