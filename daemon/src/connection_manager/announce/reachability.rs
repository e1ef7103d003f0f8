//! Whether a gateway answers and accepts sessions, by checks and announcements. A gateway that does
//! not answer is tried last, so that sessions do not wait for it.

use std::time::Duration;

use cmsg_proto::Time;

/// For how long a gateway that did not answer an announcement is tried last, even if it answers
/// checks: first and maximum value.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::connection_manager) enum Answer {
    Takes,
    /// It answers, but accepts no sessions, for this reason.
    Refuses(String),
    /// It does not answer, for this reason.
    Silent(String),
}

/// A change that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connection_manager) enum ReachabilityChange {
    Away,
    Back,
}

/// The state of a gateway.
#[derive(Debug, Default)]
pub(super) struct Reachability {
    /// `None` before the first check or announcement.
    found: Option<Answer>,
    /// Number of consecutive unanswered announcements; those until `distrusted_until` count once.
    unanswered: u32,
    /// Until when its answers to checks are ignored.
    distrusted_until: Time,
}

impl Reachability {
    /// The result of the last check.
    pub(super) fn found(&self) -> Option<&Answer> {
        self.found.as_ref()
    }

    /// Whether it is tried after the others.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self.found, Some(Answer::Silent(_)))
    }

    /// Records a check.
    pub(super) fn looked(&mut self, found: Answer, now: Time) -> Option<ReachabilityChange> {
        let believed = now >= self.distrusted_until || matches!(found, Answer::Silent(_));
        believed.then(|| self.becomes(found)).flatten()
    }

    /// Records an answered announcement, accepted or not.
    pub(super) fn answered(&mut self) -> Option<ReachabilityChange> {
        self.unanswered = 0;
        self.distrusted_until = Time::default();
        match self.found {
            Some(Answer::Takes | Answer::Refuses(_)) => None,
            _ => self.becomes(Answer::Takes),
        }
    }

    /// Records an unanswered announcement.
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
    fn each_change_is_logged_once() {
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
    fn a_gateway_that_never_answered_is_unreachable() {
        assert_eq!(Reachability::default().looked(silent(), at(0)), Some(ReachabilityChange::Away));
        assert_eq!(Reachability::default().answered(), None);
    }

    #[test]
    fn a_gateway_that_only_answers_checks_is_avoided_for_longer_each_time() {
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
    fn an_answered_announcement_resets_the_state() {
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
    fn a_refused_session_does_not_affect_the_next_one() {
        let mut reachability = Reachability::default();
        let full = Answer::Refuses("full".to_owned());
        reachability.looked(full.clone(), at(0));

        reachability.answered();

        assert_eq!(reachability.found(), Some(&full));
    }
}
