//! All sessions of a Connection Manager: found by their cookie, limited in number, ended when
//! nobody uses them.

use std::{collections::HashMap, time::Duration};

use super::{ClientCookie, Session, Stage};
use crate::Time;

/// A probe asks once; what it leaves behind is not kept for long.
const PROBE_IDLE: Duration = Duration::from_secs(60);

/// The sessions.
#[derive(Debug)]
pub struct Sessions {
    by_cookie: HashMap<ClientCookie, Session>,
    limit: usize,
    idle: Duration,
}

/// All places are taken by users who are logged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many sessions")]
pub struct Full;

impl Sessions {
    /// No sessions; at most `limit`, each ended after `idle` without use.
    #[must_use]
    pub fn new(limit: usize, idle: Duration) -> Self {
        Self { by_cookie: HashMap::new(), limit, idle }
    }

    /// Takes a session in. Where all places are taken, the one that was not used for the longest
    /// and whose user is not logged on has to go, and is returned.
    ///
    /// # Errors
    ///
    /// Where there is none such.
    pub fn insert(&mut self, session: Session) -> Result<Option<Session>, Full> {
        let mut gone = None;
        if self.by_cookie.len() >= self.limit {
            let strangers = self.by_cookie.values().filter(|s| s.is_stranger());
            let oldest = strangers.min_by_key(|s| s.used).map(|s| s.cookie.clone());
            gone = self.by_cookie.remove(&oldest.ok_or(Full)?);
        }
        self.by_cookie.insert(session.cookie.clone(), session);
        Ok(gone)
    }

    /// The session of a cookie, which is thereby used; `None` where it is unknown or has expired.
    pub fn find(&mut self, cookie: &ClientCookie, now: Time) -> Option<&mut Session> {
        let idle = self.idle;
        let session = self.by_cookie.get_mut(cookie).filter(|s| !s.is_over(idle, now))?;
        session.used = session.used.max(now);
        Some(session)
    }

    /// Ends a session.
    pub fn remove(&mut self, cookie: &ClientCookie) -> Option<Session> {
        self.by_cookie.remove(cookie)
    }

    /// Ends what nobody used for too long.
    pub fn expire(&mut self, now: Time) -> Vec<Session> {
        let idle = self.idle;
        let over = self.by_cookie.values().filter(|s| s.is_over(idle, now));
        let over: Vec<_> = over.map(|session| session.cookie.clone()).collect();
        over.iter().filter_map(|cookie| self.by_cookie.remove(cookie)).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_cookie.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_cookie.is_empty()
    }
}

impl Session {
    fn is_over(&self, idle: Duration, now: Time) -> bool {
        let fresh_probe = self.hello.probe && self.stage == Stage::Greeted;
        now.since(self.used) >= if fresh_probe { idle.min(PROBE_IDLE) } else { idle }
    }

    fn is_stranger(&self) -> bool {
        !matches!(self.stage, Stage::Authenticated | Stage::Allocated)
    }
}
