//! A broker that is known not to answer. Clients would wait for its timeout, so their requests are
//! refused at once. One request at a time still tries it, and the first answer ends the outage for
//! all.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cmsg_proto::{Time, broker::Refusal};
use http::StatusCode;
use tracing::{info, warn};

use super::upstream::{Failure, Reply};
use crate::clock;

/// How long checks must fail before requests are refused. A broker that pauses for a moment still
/// answers those that wait.
const CHECKS_FAIL: Duration = Duration::from_secs(5);

/// Requests that must time out in succession. A single one may wait for a user.
const TIMEOUTS: usize = 3;

/// What is known about the broker.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    checks: Checks,
    /// Requests that timed out since the last one that was answered.
    timeouts: usize,
    /// Whether a request tries the broker.
    is_tried: bool,
    is_logged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Checks {
    #[default]
    Succeed,
    FailSince(Time),
    /// They fail although the broker answers requests, so they prove nothing.
    Contradicted,
}

/// The end of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Answered,
    TimedOut,
    /// It could not be sent, or was aborted.
    Failed,
}

/// The permission to ask the broker.
#[derive(Debug)]
pub(super) struct Passage<'a> {
    outage: &'a Outage,
    is_trial: bool,
    ended: Ended,
}

impl Outage {
    /// Permits a request to the broker.
    ///
    /// # Errors
    ///
    /// If the broker is known not to answer, and another request tries it.
    pub(super) fn enter(&self) -> Result<Passage<'_>, Refusal> {
        let is_trial = self.state().enter(clock::now())?;
        Ok(Passage { outage: self, is_trial, ended: Ended::Failed })
    }

    /// Records the result of a check.
    pub(super) fn checked(&self, is_there: bool) {
        let mut state = self.state();
        let now = clock::now();
        state.checked(is_there, now);
        state.log(now);
    }

    /// Ignores poisoning: every change leaves a valid state.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passage<'_> {
    /// Records the broker's answer.
    pub(super) fn end(mut self, asked: &Result<Reply, Failure>) {
        self.ended = match asked {
            // The answer of a proxy in front of the broker.
            Ok(Reply {
                status:
                    StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT,
                ..
            })
            | Err(Failure::Failed(_)) => Ended::Failed,
            Err(Failure::TimedOut) => Ended::TimedOut,
            Ok(_) | Err(Failure::TooLarge { .. } | Failure::OverBudget(_)) => Ended::Answered,
        };
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let mut state = self.outage.state();
        let now = clock::now();
        state.end(self.is_trial, self.ended, now);
        state.log(now);
    }
}

impl State {
    /// Whether the permitted request is the one that tries the broker.
    fn enter(&mut self, now: Time) -> Result<bool, Refusal> {
        let Some(refusal) = self.known(now) else { return Ok(false) };
        if self.is_tried {
            return Err(refusal);
        }
        self.is_tried = true;
        Ok(true)
    }

    fn end(&mut self, is_trial: bool, ended: Ended, now: Time) {
        if is_trial {
            self.is_tried = false;
        }
        match ended {
            Ended::Answered => {
                self.timeouts = 0;
                self.checks = match self.checks {
                    Checks::FailSince(since) if now.since(since) < CHECKS_FAIL => {
                        Checks::FailSince(now)
                    }
                    Checks::FailSince(_) => Checks::Contradicted,
                    checks => checks,
                };
            }
            Ended::TimedOut => self.timeouts = self.timeouts.saturating_add(1),
            Ended::Failed => {}
        }
    }

    fn checked(&mut self, is_there: bool, now: Time) {
        self.checks = match (is_there, self.checks) {
            (true, _) => Checks::Succeed,
            (false, Checks::Succeed) => Checks::FailSince(now),
            (false, checks) => checks,
        };
    }

    /// How requests are refused if the broker is known not to answer.
    fn known(&self, now: Time) -> Option<Refusal> {
        match self.checks {
            _ if self.timeouts >= TIMEOUTS => Some(Refusal::BrokerTimedOut),
            Checks::FailSince(since) if now.since(since) >= CHECKS_FAIL => {
                Some(Refusal::BrokerFailed)
            }
            _ => None,
        }
    }

    /// Logs the beginning and the end of an outage.
    fn log(&mut self, now: Time) {
        let is_known = self.known(now).is_some();
        if is_known && !self.is_logged {
            warn!("The broker does not answer: all requests but one at a time are refused");
        } else if !is_known && self.is_logged {
            info!("Requests are sent to the broker again");
        }
        self.is_logged = is_known;
    }
}

/// How the client is answered if the broker does not answer.
pub(super) fn refusal(failure: &Failure) -> Refusal {
    match failure {
        Failure::TimedOut => Refusal::BrokerTimedOut,
        Failure::Failed(_) | Failure::TooLarge { .. } | Failure::OverBudget(_) => {
            Refusal::BrokerFailed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    /// A state after requests that timed out.
    fn hanging() -> State {
        let mut state = State::default();
        for _ in 0..TIMEOUTS {
            assert_eq!(state.enter(at(0)), Ok(false));
        }
        (0..TIMEOUTS).for_each(|_| state.end(false, Ended::TimedOut, at(1)));
        state
    }

    #[test]
    fn one_request_at_a_time_tries_a_broker_that_hangs_and_its_answer_counts_for_all() {
        let mut state = hanging();
        for ended in [Ended::TimedOut, Ended::Failed] {
            assert_eq!(state.enter(at(1)), Ok(true));
            assert_eq!(state.enter(at(1)), Err(Refusal::BrokerTimedOut));
            state.end(true, ended, at(1));
        }

        assert_eq!(state.enter(at(2)), Ok(true));
        state.end(true, Ended::Answered, at(1));

        assert_eq!([state.enter(at(2)), state.enter(at(2))], [Ok(false), Ok(false)]);
    }

    #[test]
    fn single_timeouts_do_not_affect_other_requests() {
        let mut state = State::default();
        for _ in 0..10 {
            state.end(false, Ended::TimedOut, at(1));
            state.end(false, Ended::TimedOut, at(1));
            state.end(false, Ended::Answered, at(1));
        }

        assert_eq!(state.known(at(0)), None);
    }

    #[test]
    fn a_request_from_before_the_outage_ends_it_but_not_the_trial() {
        let mut state = hanging();
        assert_eq!(state.enter(at(1)), Ok(true));

        state.end(false, Ended::TimedOut, at(1));
        assert_eq!(state.enter(at(1)), Err(Refusal::BrokerTimedOut));
        state.end(false, Ended::Answered, at(1));

        assert_eq!(state.enter(at(1)), Ok(false));
    }

    #[test]
    fn checks_that_fail_for_a_while_begin_an_outage_and_one_that_succeeds_ends_it() {
        let mut state = State::default();
        state.checked(false, at(0));
        state.checked(false, at(4));
        assert_eq!(state.enter(at(4)), Ok(false));

        assert_eq!(state.enter(at(5)), Ok(true));
        assert_eq!(state.enter(at(5)), Err(Refusal::BrokerFailed));
        state.checked(true, at(6));

        assert_eq!(state.enter(at(6)), Ok(false));
    }

    #[test]
    fn checks_do_not_count_while_the_broker_answers_requests() {
        let mut state = State::default();
        state.checked(false, at(0));
        state.end(false, Ended::Answered, at(2));
        assert_eq!(state.enter(at(6)), Ok(false));
        assert_eq!(state.enter(at(7)), Ok(true));
        state.end(true, Ended::Answered, at(7));
        state.checked(false, at(8));
        assert_eq!(state.known(at(100)), None);

        state.checked(true, at(101));
        state.checked(false, at(102));

        assert_eq!(state.known(at(107)), Some(Refusal::BrokerFailed));
    }
}
