//! The users who are banned from an address, as text.

use cmsg_config::socket::{Ban, LogonCounts};

use super::page::table;
use crate::shown::{counted, one_line};

/// The lines of `bans`. Names of users are shown in one line, since strangers chose them.
pub(crate) fn lines(bans: &[Ban]) -> Vec<String> {
    let head = ["SOURCE", "USER", "FAILURES", "UNTIL", "REFUSED"].map(str::to_owned);
    let row = |ban: &Ban| {
        [
            one_line(&ban.source),
            one_line(&ban.user),
            ban.failures.to_string(),
            one_line(&ban.until),
            ban.refused.to_string(),
        ]
    };
    let rows: Vec<_> = [head].into_iter().chain(bans.iter().map(row)).collect();
    table(&rows)
}

/// The line of `status`, unless there is nothing to report.
pub(super) fn summary(counts: &LogonCounts) -> Option<String> {
    let LogonCounts { bans, recent_failures, .. } = *counts;
    let failures = format!("{} in the last ten minutes", counted(recent_failures, "failure"));
    match (bans, recent_failures) {
        (0, 0) => None,
        (0, _) => Some(format!("{failures}, no user is banned")),
        _ => Some(format!("{failures}, {} (`pcoip-cmsg-setup bans`)", counted(bans, "ban"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_are_listed_in_columns_and_a_name_stays_in_its_line() {
        let ban = |source: &str, user: &str| Ban {
            source: source.to_owned(),
            user: user.to_owned(),
            failures: 10,
            until: "2026-12-01T16:00:00Z".to_owned(),
            refused: 3,
        };

        let lines = lines(&[ban("192.0.2.1", "d\\anna"), ban("2001:db8:1:2::/64", "b\nc")]);

        assert_eq!(
            lines,
            [
                "SOURCE             USER     FAILURES  UNTIL                 REFUSED",
                "192.0.2.1          d\\anna   10        2026-12-01T16:00:00Z  3",
                "2001:db8:1:2::/64  b\\u{a}c  10        2026-12-01T16:00:00Z  3",
            ]
        );
    }

    #[test]
    fn the_summary_has_bans_and_recent_failures() {
        let table = [
            ((0, 0), None),
            ((0, 1), Some("1 failure in the last ten minutes, no user is banned")),
            ((1, 0), Some("0 failures in the last ten minutes, 1 ban (`pcoip-cmsg-setup bans`)")),
            ((2, 7), Some("7 failures in the last ten minutes, 2 bans (`pcoip-cmsg-setup bans`)")),
        ];
        for ((bans, recent_failures), expected) in table {
            let counts = LogonCounts { bans, recent_failures, refused: 0 };
            assert_eq!(summary(&counts).as_deref(), expected);
        }
    }
}
