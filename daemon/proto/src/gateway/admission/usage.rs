//! Which sessions are in use, and which are only kept so that their clients can resume them.

use std::time::Duration;

use super::{
    Admission, Side, Timeouts,
    session::{Session, State},
};
use crate::Time;

/// Sessions in use and resumable sessions. Their sum is the number of sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sessions whose client is connected, sends datagrams, or did so within `udp_idle` without
    /// sending Bye.
    pub in_use: usize,
    /// Sessions that a client may still resume with their tag.
    pub resumable: usize,
}

/// How long datagrams may arrive after a client's Bye: those in transit, plus one tick.
const FAREWELL: Duration = Duration::from_secs(2);

impl Admission {
    /// How many sessions are in use at `now`.
    #[must_use]
    pub fn usage(&self, now: Time) -> Usage {
        let mut usage = Usage::default();
        for session in self.sessions.iter().flatten() {
            if session.is_in_use(now, &self.rules.timeouts) {
                usage.in_use += 1;
            } else {
                usage.resumable += 1;
            }
        }
        usage
    }
}

impl Session {
    /// Whether ending the session now would interrupt its user.
    ///
    /// A Bye ends the use. The end of the TCP connection does not: a client may close it once the
    /// flows are established. For the same reason, a Bye only counts when the datagrams stop too.
    fn is_in_use(&self, now: Time, timeouts: &Timeouts) -> bool {
        let client = self.leg(Side::Client);
        let last_datagram = client.flows().iter().map(|flow| flow.active).max();
        if client.said_bye() {
            return last_datagram.is_some_and(|last| now.since(last) < FAREWELL);
        }
        match self.state {
            State::Connected(_) => true,
            State::Announced(until) => {
                let announced = until - timeouts.announced;
                now.since(announced) < timeouts.udp_idle
            }
            State::Waiting(since) => {
                let last = last_datagram.map_or(since, |last| last.max(since));
                now.since(last) < timeouts.udp_idle
            }
        }
    }
}
