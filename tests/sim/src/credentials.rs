//! Who logs on: the same three values at the broker, at the agent and in the client.

use secrecy::{ExposeSecret as _, SecretString};

/// A user's name, password and domain.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The user's password.
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
