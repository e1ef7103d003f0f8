//! How a gateway stands: whether it answers, and whether it takes sessions. Looks and announcements
//! tell; one that is silent is tried last, so that sessions do not wait for it.

use std::time::Duration;

use cmsg_proto::Time;

/// For how long a gateway that left an announcement without an answer is silent, whatever it says
/// to a look: at first, and at most after several in a row.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// What a gateway said when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connection_manager) enum Found {
    /// It takes sessions.
    Takes,
    /// It answers and takes none, and why.
    Refuses(String),
    /// It does not answer, and why.
    Silent(String),
}

/// What is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connection_manager) enum Change {
    /// It went away.
    Away,
    /// It is back.
    Back,
}

/// What is known of a gateway.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Nothing until it was looked at or told of a session.
    found: Option<Found>,
    /// Announcements in a row that it did not answer, those during a distrust counted once.
    unanswered: u32,
    /// When its answers to looks are believed again.
    distrusted_until: Time,
}

impl Standing {
    /// What it said last.
    pub(super) fn found(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// Whether it is tried after the others.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.found, Some(Found::Silent(_)))
    }

    /// It was looked at.
    pub(super) fn looked(&mut self, found: Found, now: Time) -> Option<Change> {
        let believed = now >= self.distrusted_until || matches!(found, Found::Silent(_));
        believed.then(|| self.becomes(found)).flatten()
    }

    /// It answered an announcement, whatever it said.
    pub(super) fn answered(&mut self) -> Option<Change> {
        self.unanswered = 0;
        self.distrusted_until = Time::default();
        match self.found {
            Some(Found::Takes | Found::Refuses(_)) => None,
            _ => self.becomes(Found::Takes),
        }
    }

    /// It did not answer an announcement.
    pub(super) fn unanswered(&mut self, why: String, now: Time) -> Option<Change> {
        if now >= self.distrusted_until {
            let longer = FIRST.saturating_mul(2_u32.saturating_pow(self.unanswered));
            self.distrusted_until = now + longer.min(LONGEST);
            self.unanswered = self.unanswered.saturating_add(1);
        }
        self.becomes(Found::Silent(why))
    }

    fn becomes(&mut self, found: Found) -> Option<Change> {
        let before = self.is_silent();
        self.found = Some(found);
        match (before, self.is_silent()) {
            (false, true) => Some(Change::Away),
            (true, false) => Some(Change::Back),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(1_000_000 + millis)
    }

    fn silent() -> Found {
        Found::Silent("no answer in time".to_owned())
    }

    #[test]
    fn going_away_and_coming_back_are_told_once() {
        let mut standing = Standing::default();

        assert_eq!(standing.looked(Found::Takes, at(0)), None);
        assert_eq!(standing.looked(silent(), at(1)), Some(Change::Away));
        assert_eq!(standing.looked(silent(), at(2)), None);
        assert_eq!(standing.unanswered(String::new(), at(3)), None);
        assert!(standing.is_silent());
        assert_eq!(
            standing.looked(Found::Refuses("full".to_owned()), at(1003)),
            Some(Change::Back)
        );
        assert_eq!(standing.looked(Found::Takes, at(1004)), None);
        assert!(!standing.is_silent());
    }

    #[test]
    fn one_that_never_answered_is_away() {
        assert_eq!(Standing::default().looked(silent(), at(0)), Some(Change::Away));
        assert_eq!(Standing::default().answered(), None);
    }

    #[test]
    fn one_that_answers_looks_alone_is_believed_ever_later() {
        let mut standing = Standing::default();
        let mut now = 0;
        for held in [1, 2, 4, 8, 16, 30, 30].map(|seconds| seconds * 1000) {
            standing.unanswered(String::new(), at(now));
            standing.unanswered(String::new(), at(now + held - 1));

            assert_eq!(standing.looked(Found::Takes, at(now + held - 1)), None);
            assert_eq!(standing.looked(Found::Takes, at(now + held)), Some(Change::Back));
            now += held;
        }
    }

    #[test]
    fn one_answered_announcement_makes_up_for_all() {
        let mut standing = Standing::default();
        for second in 0..40 {
            standing.unanswered(String::new(), at(second * 1000));
        }

        assert_eq!(standing.answered(), Some(Change::Back));

        assert_eq!(standing.found(), Some(&Found::Takes));
        standing.unanswered(String::new(), at(50_000));
        assert_eq!(standing.looked(Found::Takes, at(50_999)), None);
        assert_eq!(standing.looked(Found::Takes, at(51_000)), Some(Change::Back));
    }

    #[test]
    fn a_refusal_of_one_session_says_nothing_of_the_next() {
        let mut standing = Standing::default();
        let full = Found::Refuses("full".to_owned());
        standing.looked(full.clone(), at(0));

        standing.answered();

        assert_eq!(standing.found(), Some(&full));
    }
}
