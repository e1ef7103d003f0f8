//! Limits how often a new cause of the same state is logged: a broker that alternates between
//! refused certificates must not fill the disk.

use std::time::{Duration, Instant};

/// Minimum time between two lines.
const APART: Duration = Duration::from_secs(60);

/// What was logged about a state.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// Time of the last line.
    last: Option<Instant>,
    /// Whether the cause has changed since then.
    is_news: bool,
}

impl Causes {
    /// Whether to log the cause now: immediately for a new state, later if the cause has changed in
    /// the meantime.
    pub(super) fn is_due(&mut self, is_other_verdict: bool, is_news: bool, now: Instant) -> bool {
        self.is_news |= is_news;
        let is_apart = self.last.is_none_or(|last| now.duration_since(last) >= APART);
        let is_due = is_other_verdict || (self.is_news && is_apart);
        if is_due {
            *self = Self { last: Some(now), is_news: false };
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternating_certificates_are_logged_once_a_minute() {
        let start = Instant::now();
        let mut causes = Causes::default();
        let mut due = |second, is_other_verdict, is_news| {
            causes.is_due(is_other_verdict, is_news, start + Duration::from_secs(second))
        };

        let logged: Vec<_> = (0..180).filter(|second| due(*second, *second == 0, true)).collect();

        assert_eq!(logged, [0, 60, 120]);
    }

    #[test]
    fn the_last_cause_of_a_minute_is_logged_later() {
        let start = Instant::now();
        let mut causes = Causes::default();
        let mut due = |second, is_other_verdict, is_news| {
            causes.is_due(is_other_verdict, is_news, start + Duration::from_secs(second))
        };
        let steps = [
            (0, true, true, true),
            (1, false, true, false),
            (2, false, false, false),
            (60, false, false, true),
            (61, false, false, false),
            (62, true, false, true),
            (200, false, false, false),
        ];

        for (second, is_other_verdict, is_news, is_due) in steps {
            assert_eq!(due(second, is_other_verdict, is_news), is_due, "{second}");
        }
    }
}
