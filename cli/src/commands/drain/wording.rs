//! What is printed while sessions are waited for, and when.

use crate::shown::counted;
use std::time::Duration;

/// Without a terminal: no more lines than a log can bear.
const CHANGES: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(60);

/// What was printed last: how many sessions, and how long after the beginning.
#[derive(Debug, Default)]
pub(super) struct Told(Option<(usize, Duration)>);

impl Told {
    /// Whether a line is to be printed that long after the beginning, and notes that it is: the
    /// first one, a change at most every ten seconds, and one a minute.
    pub(super) fn is_due(&mut self, in_use: usize, waited: Duration) -> bool {
        let is_due = self.0.is_none_or(|(before, at)| {
            let silent = waited.saturating_sub(at);
            silent >= SILENCE || before != in_use && silent >= CHANGES
        });
        if is_due {
            self.0 = Some((in_use, waited));
        }
        is_due
    }
}

/// `1 session`, `2 sessions`.
pub(super) fn sessions(count: usize) -> String {
    counted(count, "session")
}

/// `1 session is still`, `2 sessions are still`.
pub(super) fn are(count: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb} still", sessions(count))
}

/// What is waited for, and for how long at most.
pub(super) fn waiting(in_use: usize, left: Duration) -> String {
    // The last second is one, not none.
    let left = Duration::from_secs(left.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
    format!("waiting for {} to end: {} left", sessions(in_use), waited(left))
}

/// What a drain leaves behind.
pub(super) fn resumable(count: usize) -> Option<String> {
    let line = "can still be resumed by its client";
    match count {
        0 => None,
        1 => Some(format!("1 session {line}")),
        _ => Some(format!("{count} sessions {}", line.replace("its client", "their clients"))),
    }
}

/// A time in the two largest units that it has.
pub(super) fn waited(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_counts_down_in_words() {
        let table = [
            (1, 400, "waiting for 1 session to end: 1 s left"),
            (2, 59_000, "waiting for 2 sessions to end: 59 s left"),
            (2, 60_000, "waiting for 2 sessions to end: 1 min 0 s left"),
            (2, 3_599_001, "waiting for 2 sessions to end: 1 h 0 min left"),
        ];
        for (in_use, millis, text) in table {
            assert_eq!(waiting(in_use, Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn lines_are_sparse_without_a_terminal() {
        let mut told = Told::default();
        let steps = [(0, 3), (1, 3), (5, 2), (9, 1), (10, 1), (19, 2), (30, 1), (69, 1), (70, 1)];

        let due = steps.map(|(at, in_use)| told.is_due(in_use, Duration::from_secs(at)));

        let expected = [true, false, false, false, true, false, false, false, true];
        assert_eq!(due, expected);
    }

    #[test]
    fn what_is_left_is_named_once() {
        assert_eq!(resumable(0), None);
        assert_eq!(resumable(1).as_deref(), Some("1 session can still be resumed by its client"));
        assert_eq!(
            resumable(2).as_deref(),
            Some("2 sessions can still be resumed by their clients")
        );
    }
}
