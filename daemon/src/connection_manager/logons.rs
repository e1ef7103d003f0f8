//! Failed log-ons: `cmsg_proto::broker::logons` decides, and this module has the state, the delays
//! and the log lines.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use cmsg_config::{
    distrust::date,
    socket::{self, LogonCounts},
};
use cmsg_proto::{
    broker::logons::{self, Ban, Banned, Limits, Outcome, User, Verdict},
    shares::{Order, Source},
};
use tracing::info;

use crate::{clock, limiter::Limiter};

/// Maximum number of delayed answers, and the fraction of the connections that may wait for one.
/// Further answers are not delayed.
const DELAYED: usize = 256;
const CONNECTIONS_PER_DELAYED: usize = 8;

pub(super) struct Logons {
    rules: Mutex<logons::Logons>,
    delayed: Arc<Limiter>,
    refused: AtomicU64,
}

impl Logons {
    pub(super) fn new(config: &cmsg_config::ConnectionManager) -> Self {
        let delayed = config.max_connections.as_usize() / CONNECTIONS_PER_DELAYED;
        Self {
            rules: Mutex::new(logons::Logons::new(limits(config))),
            delayed: Limiter::new(delayed.clamp(1, DELAYED), Order::SourceFirst),
            refused: AtomicU64::new(0),
        }
    }

    /// Applies the settings that can change while the role runs.
    pub(super) fn apply(&self, config: &cmsg_config::ConnectionManager) {
        self.rules().set_limits(limits(config));
    }

    /// A log-on of these users from this address, before the broker is asked.
    ///
    /// # Errors
    ///
    /// If one of them is banned.
    pub(super) fn begin(&self, from: IpAddr, users: &[User]) -> Result<(), Banned> {
        let (source, now) = (Source::of(from), clock::now());
        let mut rules = self.rules();
        for (number, user) in users.iter().enumerate() {
            let Err(banned) = rules.begin(source, user, now) else { continue };
            for begun in &users[..number] {
                rules.end(source, begun, Outcome::Undecided, now);
            }
            self.refused.fetch_add(1, Relaxed);
            return Err(banned);
        }
        Ok(())
    }

    /// The end of that log-on for one of the users.
    pub(super) fn end(&self, from: IpAddr, user: &User, outcome: Outcome) -> Verdict {
        self.rules().end(Source::of(from), user, outcome, clock::now())
    }

    /// Delays an answer, unless too many are delayed already.
    pub(super) async fn delay(&self, from: IpAddr, delay: Duration) {
        if delay.is_zero() {
            return;
        }
        if let Some(delayed) = self.delayed.enter_unless_fullest(from) {
            let _ = tokio::time::timeout(delay, delayed.evicted()).await;
        }
    }

    /// Forgets what does not count any more.
    pub(super) fn expire(&self) {
        let ended = self.rules().expire(clock::now());
        ended.iter().for_each(|ban| log_end(ban, "A ban has ended"));
    }

    pub(super) fn counts(&self) -> LogonCounts {
        let (rules, now) = (self.rules(), clock::now());
        LogonCounts {
            bans: rules.banned_pairs(now),
            recent_failures: rules.recent_failures(now),
            refused: self.refused.load(Relaxed),
        }
    }

    pub(super) fn bans(&self) -> Vec<socket::Ban> {
        let shown = |ban: Ban| socket::Ban {
            source: ban.source.to_string(),
            user: ban.user.to_string(),
            failures: ban.failures,
            until: date(ban.until.as_secs()),
            refused: ban.refused,
        };
        self.rules().bans(clock::now()).into_iter().map(shown).collect()
    }

    /// Lifts all bans, or that of a pair. Returns their number.
    pub(super) fn lift(&self, pair: Option<(Source, &User)>) -> usize {
        let now = clock::now();
        let lifted = match pair {
            Some((source, user)) => self.rules().lift(source, user, now).into_iter().collect(),
            None => self.rules().lift_all(now),
        };
        lifted.iter().for_each(|ban| log_end(ban, "A ban was lifted"));
        lifted.len()
    }

    /// Ignores poisoning: a panic leaves at most a wrong count.
    fn rules(&self) -> MutexGuard<'_, logons::Logons> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log-ons that a ban refused are logged in this one line. The name comes last, since a peer
/// chose it.
fn log_end(ban: &Ban, what: &'static str) {
    info!(client = %ban.source, refused = ban.refused, user = %ban.user, "{what}");
}

fn limits(config: &cmsg_config::ConnectionManager) -> Limits {
    Limits { failures: config.logon_failures, ban: config.logon_ban }
}
