//! All sessions of a Connection Manager: looked up by cookie, limited in number, and removed when
//! they are idle. After a correct password, a session is sealed whenever it changes, so that it can
//! be persisted.

use std::{collections::HashMap, net::Ipv4Addr, sync::Arc, time::Duration};

use super::{
    ClientCookie, Session, Stage,
    journal::{CookieDigest, Journal, LogOnStage, Record, Seal, Written},
};
use crate::{
    Time,
    shares::{Id, Order, Shares, Source, Worth},
};

/// A probe sends a single request, so its session is not kept for long.
const PROBE_IDLE: Duration = Duration::from_secs(60);

/// How long a user may take between two requests: enough to type a one-time password.
const THINKING: Duration = Duration::from_secs(120);

/// All sessions of a Connection Manager, by the digest of their cookie.
#[derive(Debug)]
pub struct Sessions<S> {
    by_cookie: HashMap<CookieDigest, Entry>,
    /// Which session is removed if the table is full: those of strangers first, from the source
    /// with the most sessions.
    shares: Shares,
    cookies: HashMap<Id, CookieDigest>,
    limit: usize,
    idle: Duration,
    seal: S,
    /// Number of the last session.
    last: u64,
    /// The changes since the last call of [`Sessions::take_records`].
    records: Vec<Record>,
}

#[derive(Debug)]
struct Entry {
    place: Id,
    number: u64,
    used: Time,
    /// Time at which a request was last sent to the broker or answered by it.
    served: Time,
    stage: LogOnStage,
    /// Whether the file contains it.
    is_recorded: bool,
    /// `None` if it cannot be persisted, or is only persisted with [`Extent::All`].
    sealed: Option<Arc<[u8]>>,
    /// `None` after a restart, until the client sends its cookie.
    session: Option<Session>,
}

/// Which sessions are persisted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Sessions whose users gave at least one correct password. Opening others needs no
    /// authentication.
    LoggingOn,
    /// All sessions, for the last write and while draining.
    All,
}

/// All sessions belong to users who are logged on or gave a correct password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are too many sessions")]
pub struct Full;

impl<S: Seal> Sessions<S> {
    /// An empty table of at most `limit` sessions, each removed after `idle` without a request.
    #[must_use]
    pub fn new(limit: usize, idle: Duration, seal: S) -> Self {
        let places = u64::try_from(limit).unwrap_or(u64::MAX);
        Self {
            by_cookie: HashMap::new(),
            shares: Shares::new(places, Order::WorthFirst),
            cookies: HashMap::new(),
            limit,
            idle,
            seal,
            last: 0,
            records: Vec::new(),
        }
    }

    /// Restores the sessions of before a restart, except expired ones and those that do not fit.
    pub fn restore(&mut self, journal: Journal, now: Time) {
        self.last = self.last.max(journal.last);
        let idle = self.idle;
        let kept = journal.sessions.into_iter().filter(|written| !written.is_over(idle, now));
        let kept: Vec<_> = kept.take(self.limit.saturating_sub(self.by_cookie.len())).collect();
        // The last ones would be removed first.
        for written in kept.into_iter().rev() {
            let Ok((place, _)) = self.shares.enter(unknown_source(), written.stage.place()) else {
                continue;
            };
            self.forget(written.cookie);
            self.cookies.insert(place, written.cookie);
            self.by_cookie.insert(written.cookie, Entry::read(written, place, now));
        }
    }

    /// The sessions to be persisted. Their changes from now on are recorded.
    pub fn journal(&mut self, extent: Extent) -> Journal {
        self.records = Vec::new();
        let mut sessions = Vec::new();
        for (cookie, entry) in &mut self.by_cookie {
            let is_meant = extent == Extent::All || entry.stage.is_logging_on();
            let written = is_meant.then(|| entry.written(*cookie, &self.seal)).flatten();
            entry.is_recorded = written.is_some();
            sessions.extend(written);
        }
        Journal { last: self.last, sessions }
    }

    /// The changes of the journal with [`Extent::LoggingOn`] since the last call of this function or
    /// of [`Sessions::journal`].
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// The number of the next session.
    pub fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Adds a session. If the table is full, it replaces the session of a stranger that has been
    /// idle longest, from the source with the most sessions, and returns the number of that
    /// session.
    ///
    /// # Errors
    ///
    /// [`Full`] if all sessions belong to users who are logged on or gave a correct password.
    pub fn insert(&mut self, session: Session) -> Result<Option<u64>, Full> {
        let stage = LogOnStage::of(&session);
        let source = Source::of(session.client);
        // A probe is answered even though its session is worth nothing.
        let worth = stage.place().max(Worth::Stranger);
        let (place, gone) = self.shares.enter(source, worth).map_err(|_| Full)?;
        self.shares.set_worth(place, stage.place());
        let gone = gone.and_then(|gone| self.cookies.get(&gone).copied());
        let gone = gone.and_then(|cookie| self.forget(cookie));
        let cookie = CookieDigest::of(&session.cookie);
        self.forget(cookie);
        self.cookies.insert(place, cookie);
        self.by_cookie.insert(cookie, Entry::of(session, place));
        Ok(gone)
    }

    /// The session with this cookie, which counts as a use; `None` if it is unknown or expired.
    pub fn find(&mut self, cookie: &ClientCookie, now: Time) -> Option<&Session> {
        self.entry(cookie, now)?.session.as_ref()
    }

    /// The worth of the session with this cookie. Does not count as a use.
    #[must_use]
    pub fn worth(&self, cookie: &ClientCookie, now: Time) -> Option<Worth> {
        let entry = self.by_cookie.get(&CookieDigest::of(cookie))?;
        (!entry.is_over(self.idle, now)).then(|| entry.stage.worth())
    }

    /// The number of the session with this cookie. Does not count as a use.
    #[must_use]
    pub fn number(&self, cookie: &ClientCookie) -> Option<u64> {
        self.by_cookie.get(&CookieDigest::of(cookie)).map(|entry| entry.number)
    }

    /// Records that a request of the session was sent to the broker.
    pub fn note_passed_on(&mut self, cookie: &ClientCookie, now: Time) {
        if let Some(entry) = self.by_cookie.get_mut(&CookieDigest::of(cookie)) {
            entry.served = entry.served.max(now);
        }
    }

    /// Changes the session with this cookie, which counts as a use. Returns the changed session.
    pub fn change(
        &mut self,
        cookie: &ClientCookie,
        now: Time,
        change: impl FnOnce(&mut Session),
    ) -> Option<&Session> {
        self.entry(cookie, now)?;
        self.note_passed_on(cookie, now);
        let entry = self.by_cookie.get_mut(&CookieDigest::of(cookie))?;
        let session = entry.session.as_mut()?;
        change(session);
        entry.stage = LogOnStage::of(session);
        let is_logging_on = entry.stage.is_logging_on();
        entry.sealed = if is_logging_on { session.sealed(&self.seal) } else { None };
        self.shares.set_worth(entry.place, entry.stage.place());
        self.records.extend(entry.record(CookieDigest::of(cookie)));
        entry.session.as_ref()
    }

    /// Removes a session and returns its number.
    pub fn remove(&mut self, cookie: &ClientCookie) -> Option<u64> {
        self.forget(CookieDigest::of(cookie))
    }

    /// Removes idle sessions and returns their numbers.
    pub fn expire(&mut self, now: Time) -> Vec<u64> {
        let all = self.by_cookie.iter();
        let over = all.filter(|(_, entry)| entry.is_over(self.idle, now));
        let over: Vec<_> = over.map(|(cookie, _)| *cookie).collect();
        over.into_iter().filter_map(|cookie| self.forget(cookie)).collect()
    }

    /// Number of sessions, including those that have not been used since a restart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_cookie.len()
    }

    /// Number of users who are logging on at `now`, starting with the first correct password. A
    /// user with a resource no longer needs the Connection Manager, and one without a request for
    /// two minutes has probably left.
    #[must_use]
    pub fn in_use(&self, now: Time) -> usize {
        self.by_cookie.values().filter(|entry| entry.is_in_use(now)).count()
    }

    /// Whether there are no sessions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_cookie.is_empty()
    }

    /// The entry with this cookie, with its session unsealed.
    fn entry(&mut self, cookie: &ClientCookie, now: Time) -> Option<&mut Entry> {
        let entry = self.by_cookie.get_mut(&CookieDigest::of(cookie))?;
        if entry.is_over(self.idle, now) {
            return None;
        }
        if entry.session.is_none() {
            let sealed = entry.sealed.as_deref()?;
            let session = Session::unsealed(cookie, sealed, &self.seal)?;
            entry.stage = LogOnStage::of(&session);
            self.shares.set_source(entry.place, Source::of(session.client));
            entry.session = Some(session);
        }
        entry.used = entry.used.max(now);
        self.shares.set_worth(entry.place, entry.stage.place());
        Some(entry)
    }

    fn forget(&mut self, cookie: CookieDigest) -> Option<u64> {
        let entry = self.by_cookie.remove(&cookie)?;
        self.shares.leave(entry.place);
        self.cookies.remove(&entry.place);
        self.records.extend(entry.is_recorded.then_some(Record::Removed(cookie)));
        Some(entry.number)
    }
}

impl Entry {
    fn of(session: Session, place: Id) -> Self {
        Self {
            place,
            number: session.number,
            used: session.opened,
            served: session.opened,
            stage: LogOnStage::of(&session),
            is_recorded: false,
            sealed: None,
            session: Some(session),
        }
    }

    /// A clock that was set back must not extend the session.
    fn read(written: Written, place: Id, now: Time) -> Self {
        Self {
            place,
            number: written.number,
            used: written.used.min(now),
            served: written.used.min(now),
            stage: written.stage,
            is_recorded: true,
            sealed: Some(written.sealed),
            session: None,
        }
    }

    fn written(&self, cookie: CookieDigest, seal: &impl Seal) -> Option<Written> {
        let sealed = || self.session.as_ref()?.sealed(seal);
        let sealed = self.sealed.clone().or_else(sealed)?;
        let (number, used, stage) = (self.number, self.used, self.stage);
        Some(Written { cookie, number, used, stage, sealed })
    }

    /// The record of a change, unless the session is only persisted with [`Extent::All`].
    fn record(&mut self, cookie: CookieDigest) -> Option<Record> {
        let (number, used, stage) = (self.number, self.used, self.stage);
        let written =
            self.sealed.clone().map(|sealed| Written { cookie, number, used, stage, sealed });
        let was_recorded = std::mem::replace(&mut self.is_recorded, written.is_some());
        let removed = was_recorded.then_some(Record::Removed(cookie));
        written.map(Record::Session).or(removed)
    }

    fn is_over(&self, idle: Duration, now: Time) -> bool {
        is_over(self.stage, self.used, idle, now)
    }

    fn is_in_use(&self, now: Time) -> bool {
        let stage = self.session.as_ref().map(Session::stage);
        self.stage.is_logging_on()
            && !matches!(stage, Some(Stage::Allocated | Stage::Invalid))
            && now.since(self.served) < THINKING
    }
}

impl Written {
    fn is_over(&self, idle: Duration, now: Time) -> bool {
        is_over(self.stage, self.used, idle, now)
    }
}

fn is_over(stage: LogOnStage, used: Time, idle: Duration, now: Time) -> bool {
    let idle = if stage == LogOnStage::Probe { idle.min(PROBE_IDLE) } else { idle };
    now.since(used) >= idle
}

/// The source of a session whose client has not sent its cookie since the restart.
fn unknown_source() -> Source {
    Source::of(Ipv4Addr::UNSPECIFIED.into())
}

#[cfg(test)]
mod tests;
