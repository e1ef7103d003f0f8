//! Users whom the Connection Manager has banned from an address after failed log-ons.

use std::{io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Role, exchange, get, read_answer};

/// Path on the Connection Manager's socket whose document is [`Bans`].
pub const BANS: &str = "/bans";
/// Path on the Connection Manager's socket that accepts [`Lift`].
pub const LIFT_BANS: &str = "/bans/lift";

/// Failed log-ons, in `GET /status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogonCounts {
    /// Users who are banned from an address.
    pub bans: usize,
    /// Failures within the last ten minutes that did not lead to a ban yet.
    pub recent_failures: usize,
    /// Log-ons since the start of the role that were refused because of a ban.
    pub refused: u64,
}

/// The response to `GET /bans`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bans {
    /// The bans, by their sources and users.
    pub bans: Vec<Ban>,
}

/// A ban of a user from an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Address of the client, or its IPv6 network (`2001:db8::/64`).
    pub source: String,
    /// The name that was logged on with, in lower case: `user`, `domain\user` or `user@domain`.
    pub user: String,
    /// Failed log-ons that led to the ban.
    pub failures: usize,
    /// When the ban ends, as RFC 3339.
    pub until: String,
    /// Log-ons that were refused because of it so far.
    pub refused: u64,
}

/// The body of `POST /bans/lift`; the response is [`Lifted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lift {
    /// All bans.
    All,
    /// The ban of a user from an address.
    One {
        /// The address, or a network as in [`Ban::source`].
        source: String,
        /// The name, in any spelling that counts as the same user.
        user: String,
    },
}

/// The response to `POST /bans/lift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// Number of bans that were lifted.
    pub lifted: usize,
}

/// Requests the bans from the Connection Manager whose socket is in the directory `run`.
///
/// # Errors
///
/// As for [`get`].
pub fn bans(run: &Path, wait: Duration) -> io::Result<Vec<Ban>> {
    Ok(get::<Bans>(run, Role::Cm, BANS, wait)?.bans)
}

/// Lifts bans, and returns their number.
///
/// # Errors
///
/// As for [`get`].
pub fn lift(run: &Path, lift: &Lift, wait: Duration) -> io::Result<usize> {
    let body = serde_json::to_vec(lift)?;
    let answer = exchange((run, Role::Cm.socket()), &format!("POST {LIFT_BANS}"), &body, wait)?;
    Ok(read_answer::<Lifted>(&answer)?.lifted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bans_to_lift_are_written_as_documented() {
        let one = Lift::One { source: "192.0.2.1".to_owned(), user: "d\\u".to_owned() };
        let table =
            [(Lift::All, r#""all""#), (one, r#"{"one":{"source":"192.0.2.1","user":"d\\u"}}"#)];
        for (lift, text) in table {
            assert_eq!(serde_json::to_string(&lift).unwrap(), text);
            assert_eq!(serde_json::from_str::<Lift>(text).unwrap(), lift);
        }
    }
}
