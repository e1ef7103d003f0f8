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
pub(in crate::connection_manager) enum Answer {
    /// It takes sessions.
    Takes,
    /// It answers and takes none, and why.
    Refuses(String),
    /// It does not answer, and why.
    Silent(String),
}

/// What is worth a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connection_manager) enum ReachabilityChange {
    /// It went away.
    Away,
    /// It is back.
    Back,
}

/// What is known of a gateway.
#[derive(Debug, Default)]
pub(super) struct Reachability {
    /// Nothing until it was looked at or told of a session.
    found: Option<Answer>,
    /// Announcements in a row that it did not answer, those during a distrust counted once.
    unanswered: u32,
    /// When its answers to looks are believed again.
    distrusted_until: Time,
}

impl Reachability {
    /// What it said last.
    pub(super) fn found(&self) -> Option<&Answer> {
        self.found.as_ref()
    }

    /// Whether it is tried after the others.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.found, Some(Answer::Silent(_)))
    }

    /// It was looked at.
    pub(super) fn looked(&mut self, found: Answer, now: Time) -> Option<ReachabilityChange> {
        let believed = now >= self.distrusted_until || matches!(found, Answer::Silent(_));
        believed.then(|| self.becomes(found)).flatten()
    }

    /// It answered an announcement, whatever it said.
    pub(super) fn answered(&mut self) -> Option<ReachabilityChange> {
        self.unanswered = 0;
        self.distrusted_until = Time::default();
        match self.found {
            Some(Answer::Takes | Answer::Refuses(_)) => None,
            _ => self.becomes(Answer::Takes),
        }
    }

    /// It did not answer an announcement.
    pub(super) fn unanswered(&mut self, why: String, now: Time) -> Option<ReachabilityChange> {
        if now >= self.distrusted_until {
            let longer = FIRST.saturating_mul(2_u32.saturating_pow(self.unanswered));
            self.distrusted_until = now + longer.min(LONGEST);
            self.unanswered = self.unanswered.saturating_add(1);
        }
        self.becomes(Answer::Silent(why))
    }

    fn becomes(&mut self, found: Answer) -> Option<ReachabilityChange> {
        let before = self.is_silent();
        self.found = Some(found);
        match (before, self.is_silent()) {
            (false, true) => Some(ReachabilityChange::Away),
            (true, false) => Some(ReachabilityChange::Back),
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

    fn silent() -> Answer {
        Answer::Silent("timed out".to_owned())
    }

    #[test]
    fn going_away_and_coming_back_are_told_once() {
        let mut reachability = Reachability::default();

        assert_eq!(reachability.looked(Answer::Takes, at(0)), None);
        assert_eq!(reachability.looked(silent(), at(1)), Some(ReachabilityChange::Away));
        assert_eq!(reachability.looked(silent(), at(2)), None);
        assert_eq!(reachability.unanswered(String::new(), at(3)), None);
        assert!(reachability.is_silent());
        assert_eq!(
            reachability.looked(Answer::Refuses("full".to_owned()), at(1003)),
            Some(ReachabilityChange::Back)
        );
        assert_eq!(reachability.looked(Answer::Takes, at(1004)), None);
        assert!(!reachability.is_silent());
    }

    #[test]
    fn one_that_never_answered_is_away() {
        assert_eq!(Reachability::default().looked(silent(), at(0)), Some(ReachabilityChange::Away));
        assert_eq!(Reachability::default().answered(), None);
    }

    #[test]
    fn one_that_answers_looks_alone_is_believed_ever_later() {
        let mut reachability = Reachability::default();
        let mut now = 0;
        for held in [1, 2, 4, 8, 16, 30, 30].map(|seconds| seconds * 1000) {
            reachability.unanswered(String::new(), at(now));
            reachability.unanswered(String::new(), at(now + held - 1));

            assert_eq!(reachability.looked(Answer::Takes, at(now + held - 1)), None);
            assert_eq!(
                reachability.looked(Answer::Takes, at(now + held)),
                Some(ReachabilityChange::Back)
            );
            now += held;
        }
    }

    #[test]
    fn one_answered_announcement_makes_up_for_all() {
        let mut reachability = Reachability::default();
        for second in 0..40 {
            reachability.unanswered(String::new(), at(second * 1000));
        }

        assert_eq!(reachability.answered(), Some(ReachabilityChange::Back));

        assert_eq!(reachability.found(), Some(&Answer::Takes));
        reachability.unanswered(String::new(), at(50_000));
        assert_eq!(reachability.looked(Answer::Takes, at(50_999)), None);
        assert_eq!(reachability.looked(Answer::Takes, at(51_000)), Some(ReachabilityChange::Back));
    }

    #[test]
    fn a_refusal_of_one_session_says_nothing_of_the_next() {
        let mut reachability = Reachability::default();
        let full = Answer::Refuses("full".to_owned());
        reachability.looked(full.clone(), at(0));

        reachability.answered();

        assert_eq!(reachability.found(), Some(&full));
    }
}
