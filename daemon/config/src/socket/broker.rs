//! The connection broker, as a Connection Manager sees it.

use serde::{Deserialize, Serialize};

use crate::distrust::Problem;

/// Whether the broker can be used, and if not, why and since when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BrokerStatus {
    /// Its URL.
    pub url: String,
    /// Whether its certificate is verified: `BrokerCertCheck`.
    pub is_verified: bool,
    /// Whether its certificate or key is pinned: `BrokerCertPin`. A daemon of an earlier version does not
    /// report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_pinned: Option<bool>,
    /// Whether it answered the last check.
    pub answers: bool,
    /// Why it did not.
    pub reason: Option<String>,
    /// When the present state began, RFC 3339; none before the first check.
    pub since: Option<String>,
    /// The certificate that it presents, if that is refused.
    pub refused: Option<RefusedCertificate>,
    /// By how many seconds its clock is ahead of this host's, if its answer has a `Date`.
    pub clock_skew: Option<i64>,
}

/// A certificate that a peer presents and that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCertificate {
    /// What is wrong with it.
    pub problem: Problem,
    /// SHA-256 of the certificate, as a pin.
    pub certificate: String,
    /// SHA-256 of its public key, as a pin.
    pub key: Option<String>,
    /// The names that it is for.
    pub names: Vec<String>,
}
