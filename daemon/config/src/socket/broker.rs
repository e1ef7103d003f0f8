//! The status of the connection broker, as a Connection Manager reports it.

use serde::{Deserialize, Serialize};

use crate::distrust::Problem;

/// Whether the broker is usable, and if not, why and since when.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BrokerStatus {
    /// URL of the broker, as in `PcoipAddress`.
    pub url: String,
    /// `BrokerCertCheck`: whether the broker's certificate is verified.
    pub is_verified: bool,
    /// Whether its certificate or key is pinned: `BrokerCertPin`. A daemon of an earlier version does not
    /// report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_pinned: Option<bool>,
    /// Whether the broker responded to the last check.
    pub answers: bool,
    /// Why the last check failed.
    pub reason: Option<String>,
    /// When the current state began, as RFC 3339; `None` before the first check.
    pub since: Option<String>,
    /// The certificate of the broker, if it was rejected.
    pub refused: Option<RefusedCertificate>,
    /// Seconds by which the broker's clock is ahead of this host's, from the `Date` header;
    /// negative if it is behind.
    pub clock_skew: Option<i64>,
}

/// A certificate that was rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCertificate {
    /// Why it was rejected.
    pub problem: Problem,
    /// SHA-256 of the certificate, in the format of a pin.
    pub certificate: String,
    /// SHA-256 of its public key, in the format of a pin.
    pub key: Option<String>,
    /// The DNS names and IP addresses in the certificate.
    pub names: Vec<String>,
}
