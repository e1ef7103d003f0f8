//! All sessions of a Connection Manager: found by their cookie, limited in number, ended when
//! nobody uses them, and sealed whenever they change, so that they can be written down.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    ClientCookie, Session,
    journal::{CookieDigest, Journal, Seal, Standing, Written},
};
use crate::{Time, shares::Worth};

/// A probe asks once; what it leaves behind is not kept for long.
const PROBE_IDLE: Duration = Duration::from_secs(60);

/// The sessions.
#[derive(Debug)]
pub struct Sessions<S> {
    by_cookie: HashMap<CookieDigest, Entry>,
    limit: usize,
    idle: Duration,
    seal: S,
    /// The number of the last session.
    last: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    used: Time,
    standing: Standing,
    /// `None` where it cannot be written down.
    sealed: Option<Arc<[u8]>>,
    /// `None` after a restart, until its cookie is shown.
    session: Option<Session>,
}

/// All places are taken by users who are logged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many sessions")]
pub struct Full;

impl<S: Seal> Sessions<S> {
    /// No sessions; at most `limit`, each ended after `idle` without use.
    #[must_use]
    pub fn new(limit: usize, idle: Duration, seal: S) -> Self {
        Self { by_cookie: HashMap::new(), limit, idle, seal, last: 0 }
    }

    /// Continues after a restart. What is over by now or finds no place is left out.
    pub fn restore(&mut self, journal: Journal, now: Time) {
        self.last = self.last.max(journal.last);
        for written in journal.sessions {
            let cookie = written.cookie;
            let entry = Entry::read(written, now);
            if self.by_cookie.len() < self.limit && !entry.is_over(self.idle, now) {
                self.by_cookie.insert(cookie, entry);
            }
        }
    }

    /// What is to be written down.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let sessions = self.by_cookie.iter().filter_map(|(cookie, entry)| entry.written(*cookie));
        Journal { last: self.last, sessions: sessions.collect() }
    }

    /// The number of the next session.
    pub fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Takes a session in. Where all places are taken, the one that was not used for the longest
    /// and whose user is not logged on has to go, and its number is returned.
    ///
    /// # Errors
    ///
    /// Where there is none such.
    pub fn insert(&mut self, session: Session) -> Result<Option<u64>, Full> {
        let mut gone = None;
        if self.by_cookie.len() >= self.limit {
            let strangers = self.by_cookie.iter().filter(|(_, e)| e.standing != Standing::User);
            let oldest = strangers.min_by_key(|(_, entry)| entry.used).map(|(cookie, _)| *cookie);
            gone = self.by_cookie.remove(&oldest.ok_or(Full)?);
        }
        let cookie = CookieDigest::of(&session.cookie);
        self.by_cookie.insert(cookie, Entry::of(session, &self.seal));
        Ok(gone.map(|entry| entry.number))
    }

    /// The session of a cookie, which is thereby used; `None` where it is unknown or has expired.
    pub fn find(&mut self, cookie: &ClientCookie, now: Time) -> Option<&Session> {
        let (entry, _) = self.entry(cookie, now)?;
        entry.session.as_ref()
    }

    /// What the session of a cookie is worth, whose use this is not.
    #[must_use]
    pub fn worth(&self, cookie: &ClientCookie, now: Time) -> Option<Worth> {
        let entry = self.by_cookie.get(&CookieDigest::of(cookie))?;
        (!entry.is_over(self.idle, now)).then(|| entry.standing.worth())
    }

    /// Changes the session of a cookie, which is thereby used; returns it as it is now.
    pub fn change(
        &mut self,
        cookie: &ClientCookie,
        now: Time,
        change: impl FnOnce(&mut Session),
    ) -> Option<&Session> {
        let (entry, seal) = self.entry(cookie, now)?;
        let session = entry.session.as_mut()?;
        change(session);
        entry.standing = Standing::of(session);
        entry.sealed = session.sealed(seal);
        Some(session)
    }

    /// Ends a session and returns its number.
    pub fn remove(&mut self, cookie: &ClientCookie) -> Option<u64> {
        self.by_cookie.remove(&CookieDigest::of(cookie)).map(|entry| entry.number)
    }

    /// Ends what nobody used for too long and returns the numbers.
    pub fn expire(&mut self, now: Time) -> Vec<u64> {
        let idle = self.idle;
        let over = self.by_cookie.extract_if(|_, entry| entry.is_over(idle, now));
        over.map(|(_, entry)| entry.number).collect()
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

    /// The entry of a cookie, with its session, and how to seal it.
    fn entry(&mut self, cookie: &ClientCookie, now: Time) -> Option<(&mut Entry, &S)> {
        let entry = self.by_cookie.get_mut(&CookieDigest::of(cookie))?;
        if entry.is_over(self.idle, now) {
            return None;
        }
        if entry.session.is_none() {
            let sealed = entry.sealed.as_deref()?;
            entry.session = Some(Session::unsealed(cookie, sealed, &self.seal)?);
        }
        entry.used = entry.used.max(now);
        Some((entry, &self.seal))
    }
}

impl Entry {
    fn of(session: Session, seal: &impl Seal) -> Self {
        Self {
            number: session.number,
            used: session.opened,
            standing: Standing::of(&session),
            sealed: session.sealed(seal),
            session: Some(session),
        }
    }

    /// A wall clock that was set back must not prolong it.
    fn read(written: Written, now: Time) -> Self {
        Self {
            number: written.number,
            used: written.used.min(now),
            standing: written.standing,
            sealed: Some(written.sealed),
            session: None,
        }
    }

    fn written(&self, cookie: CookieDigest) -> Option<Written> {
        let (number, used, standing) = (self.number, self.used, self.standing);
        self.sealed.clone().map(|sealed| Written { cookie, number, used, standing, sealed })
    }

    fn is_over(&self, idle: Duration, now: Time) -> bool {
        let idle = if self.standing == Standing::Probe { idle.min(PROBE_IDLE) } else { idle };
        now.since(self.used) >= idle
    }
}

#[cfg(test)]
mod tests;
