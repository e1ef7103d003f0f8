//! One step of a log-on: a user who is banned from the client's address is refused without asking
//! the broker, and the broker's answers are counted.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use cmsg_config::distrust::date;
use cmsg_proto::broker::{
    Authenticate, Authentication, Refusal, banned,
    logons::{Outcome, User},
    session::Session,
};

use super::{
    exchange::{Answer, Exchange},
    request_log::{CLIENT, record},
};

/// A step that the broker has not answered.
struct Attempt<'e, 'a> {
    exchange: &'e Exchange<'a>,
    session: &'e Session,
    step: &'e Authenticate,
    /// The users that a failure counts for.
    users: Vec<User>,
    is_over: bool,
}

impl Exchange<'_> {
    /// Passes a step on, unless a ban prevents it.
    pub(super) async fn authenticate(
        &self,
        session: &Session,
        step: &Authenticate,
    ) -> Result<Answer, Refusal> {
        let users = users(session, step);
        if let Err(refused) = self.shared.logons.begin(self.client.peer, &users) {
            record!(debug, self.log, CLIENT, "The user is banned from this address");
            let document = banned(self.request.version(), &step.method, refused);
            return Ok(Answer::new("authenticate-resp", document));
        }
        let attempt = Attempt { exchange: self, session, step, users, is_over: false };
        let answered = self.pass_on(session).await;
        let delay = attempt.end(match &answered {
            Ok(Answer { authentication: Some(Authentication::Complete), .. }) => Outcome::Succeeded,
            Ok(Answer { authentication: Some(Authentication::Failed), .. }) => Outcome::Failed,
            _ => Outcome::Undecided,
        });
        answered.map(|answer| Answer { delay, ..answer })
    }
}

impl Attempt<'_, '_> {
    /// Returns the delay of the answer.
    fn end(mut self, outcome: Outcome) -> Duration {
        self.is_over = true;
        self.count(outcome)
    }

    fn count(&self, outcome: Outcome) -> Duration {
        let Exchange { shared, client, log, .. } = self.exchange;
        let mut delay = Duration::ZERO;
        for (number, user) in self.users.iter().enumerate() {
            // A log-on is a success of the user that it names, not of those tried before.
            let outcome = match outcome {
                Outcome::Succeeded if number > 0 => Outcome::Undecided,
                outcome => outcome,
            };
            let verdict = shared.logons.end(client.peer, user, outcome);
            delay = delay.max(verdict.delay);
            if let Some(ban) = verdict.ban {
                let (failures, until) = (ban.failures, date(ban.until.as_secs()));
                record!(
                    warn,
                    log,
                    CLIENT,
                    failures,
                    until,
                    user = %ban.user,
                    "The user is banned from this address after too many failed log-ons"
                );
            }
        }
        delay
    }
}

impl Drop for Attempt<'_, '_> {
    /// The request was aborted. If the client did it, the attempt counts as failed: otherwise, it
    /// could try any number of passwords and learn from the session which one was correct.
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let is_shed = self.exchange.shed.load(Relaxed);
        self.count(if is_shed { Outcome::Undecided } else { Outcome::Failed });
        self.exchange.shared.change(&self.session.cookie, |session| session.abandon(self.step));
    }
}

/// The users that a step is about: the one that it names, or else the one of the password step
/// before it. If a step of another kind names a user, it may be about either.
fn users(session: &Session, step: &Authenticate) -> Vec<User> {
    let earlier = session.user().filter(|_| step.method != "password");
    let mut users: Vec<_> = step.user.clone().into_iter().chain(earlier).collect();
    users.dedup();
    users
}
