//! Failed log-ons, counted by the source and the name of the user together. After too many, the
//! pair is banned for a while. By name alone, anybody could keep a user out. By source alone, a
//! user could keep out all others behind the same NAT.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use crate::{Time, shares::Source};

pub use user::User;

mod user;

/// When a pair is banned, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures within [`Logons::WINDOW`] that lead to a ban; 0 if log-ons are not counted.
    pub failures: usize,
    /// How long a ban lasts.
    pub ban: Duration,
}

/// The pairs with failed log-ons, log-ons in progress or a ban.
#[derive(Debug)]
pub struct Logons {
    limits: Limits,
    sources: HashMap<Source, BTreeMap<User, Entry>>,
    /// The sources by the number of their entries.
    sizes: BTreeSet<(usize, Source)>,
    len: usize,
}

/// What is known about a pair.
#[derive(Debug, Default)]
struct Entry {
    /// The failures since the last ban, oldest first; fewer than the limit.
    failures: VecDeque<Time>,
    /// Log-ons that the broker has not answered.
    in_progress: usize,
    ban: Option<BanState>,
    /// Time of the last log-on.
    last: Time,
}

#[derive(Debug, Clone, Copy)]
struct BanState {
    failures: usize,
    until: Time,
    refused: u64,
}

/// How a log-on ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The user is logged on.
    Succeeded,
    /// The broker asks for another step, or did not decide.
    Undecided,
    /// The broker refused it, or the client did not wait for the answer.
    Failed,
}

/// The log-on is refused without asking the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Banned {
    /// How long the ban lasts; zero if there is no ban yet, but the log-ons in progress could exceed
    /// the limit.
    pub left: Duration,
}

/// The consequence of a log-on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// How long the answer is delayed.
    pub delay: Duration,
    /// The ban that begins.
    pub ban: Option<Ban>,
}

/// A ban of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Address or network of the client.
    pub source: Source,
    /// The name that was logged on with.
    pub user: User,
    /// Failures that led to the ban.
    pub failures: usize,
    /// When the ban ends.
    pub until: Time,
    /// Log-ons that were refused because of it so far.
    pub refused: u64,
}

impl Logons {
    /// Failures that are older do not count.
    pub const WINDOW: Duration = Duration::from_secs(600);
    /// Maximum number of pairs.
    pub const MAX: usize = 16 * 1024;
    /// Maximum number of pairs of one source.
    pub const MAX_PER_SOURCE: usize = 256;
    /// Maximum number of log-ons in progress of a pair without a failure.
    const AT_ONCE: usize = 256;
    /// The first failure whose answer is delayed, by a second. The delay doubles with each further
    /// one.
    const FIRST_DELAYED: usize = 3;
    /// Longest delay in seconds.
    const MAX_DELAY: u64 = 4;

    /// No pair has failed yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, sources: HashMap::new(), sizes: BTreeSet::new(), len: 0 }
    }

    /// Applies other limits to further log-ons. Bans that have begun keep their end.
    pub fn set_limits(&mut self, limits: Limits) {
        *self = match limits.failures {
            0 => Self::new(limits),
            _ => Self { limits, ..std::mem::replace(self, Self::new(limits)) },
        };
    }

    /// A log-on, before the broker is asked. If it is permitted, it must end with [`Self::end`].
    ///
    /// # Errors
    ///
    /// [`Banned`], also if the log-ons in progress of the pair could exceed the limit together:
    /// otherwise, many at once could. Before the first failure, [`Self::AT_ONCE`] are permitted:
    /// the clients of a classroom may log on with the same name at the same time.
    pub fn begin(&mut self, source: Source, user: &User, now: Time) -> Result<(), Banned> {
        let limit = self.limits.failures;
        if limit == 0 {
            return Ok(());
        }
        let entry = self.entry(source, user, now);
        entry.forget(now);
        if let Some(ban) = &mut entry.ban {
            ban.refused = ban.refused.saturating_add(1);
            return Err(Banned { left: ban.until.since(now) });
        }
        let most = if entry.failures.is_empty() { Self::AT_ONCE } else { limit };
        if entry.failures.len() + entry.in_progress >= most.max(limit) {
            return Err(Banned { left: Duration::ZERO });
        }
        entry.in_progress += 1;
        Ok(())
    }

    /// The end of a log-on that was permitted.
    pub fn end(&mut self, source: Source, user: &User, outcome: Outcome, now: Time) -> Verdict {
        let Limits { failures: limit, ban } = self.limits;
        if limit == 0 {
            return Verdict::default();
        }
        let entry = self.entry(source, user, now);
        entry.forget(now);
        entry.in_progress = entry.in_progress.saturating_sub(1);
        match outcome {
            Outcome::Undecided => {}
            Outcome::Succeeded => {
                entry.failures.clear();
                entry.ban = None;
            }
            // One of several in progress; the others led to the ban.
            Outcome::Failed if entry.ban.is_some() => {}
            Outcome::Failed => entry.failures.push_back(now),
        }
        let failures = entry.failures.len();
        let mut verdict = Verdict::default();
        if failures >= limit {
            let state = BanState { failures, until: now + ban, refused: 0 };
            (entry.ban, entry.failures) = (Some(state), VecDeque::new());
            verdict.ban = Some(state.of(source, user));
        }
        if outcome == Outcome::Failed {
            verdict.delay = delay(failures);
        } else if entry.is_empty() {
            self.remove(source, user);
        }
        verdict
    }

    /// Forgets what does not count any more. Returns the bans that have ended.
    pub fn expire(&mut self, now: Time) -> Vec<Ban> {
        let mut ended = Vec::new();
        let mut empty = Vec::new();
        for (source, users) in &mut self.sources {
            for (user, entry) in users {
                ended.extend(entry.forget(now).map(|ban| ban.of(*source, user)));
                if entry.is_empty() {
                    empty.push((*source, user.clone()));
                }
            }
        }
        for (source, user) in empty {
            self.remove(source, &user);
        }
        ended
    }

    /// The bans, by their sources and users.
    #[must_use]
    pub fn bans(&self, now: Time) -> Vec<Ban> {
        let mut bans: Vec<_> = self.banned(now).collect();
        bans.sort_unstable_by(|a, b| (a.source, &a.user).cmp(&(b.source, &b.user)));
        bans
    }

    /// Number of bans.
    #[must_use]
    pub fn banned_pairs(&self, now: Time) -> usize {
        self.banned(now).count()
    }

    /// Number of failures within [`Self::WINDOW`] that did not lead to a ban yet.
    #[must_use]
    pub fn recent_failures(&self, now: Time) -> usize {
        let entries = self.sources.values().flat_map(BTreeMap::values);
        entries.map(|entry| entry.failures.iter().filter(|at| is_recent(**at, now)).count()).sum()
    }

    /// Ends the ban of a pair. Returns it, if there was one.
    pub fn lift(&mut self, source: Source, user: &User, now: Time) -> Option<Ban> {
        let ban = self.sources.get(&source)?.get(user)?.ban?;
        self.remove(source, user);
        (ban.until > now).then(|| ban.of(source, user))
    }

    /// Ends all bans, and returns them.
    pub fn lift_all(&mut self, now: Time) -> Vec<Ban> {
        let bans = self.bans(now);
        bans.iter().for_each(|ban| self.remove(ban.source, &ban.user));
        bans
    }

    fn banned(&self, now: Time) -> impl Iterator<Item = Ban> {
        let entries =
            self.sources.iter().flat_map(|(source, users)| users.iter().map(|it| (*source, it)));
        entries.filter_map(move |(source, (user, entry))| {
            let ban = entry.ban.filter(|ban| ban.until > now)?;
            Some(ban.of(source, user))
        })
    }

    /// The entry of a pair, which may replace another one.
    fn entry(&mut self, source: Source, user: &User, now: Time) -> &mut Entry {
        let users = self.sources.get(&source);
        if users.is_none_or(|users| !users.contains_key(user)) {
            let count = users.map_or(0, BTreeMap::len);
            let most = self.sizes.last().filter(|_| self.len >= Self::MAX);
            let crowded =
                if count >= Self::MAX_PER_SOURCE { Some(source) } else { most.map(|it| it.1) };
            if let Some(crowded) = crowded {
                self.evict(crowded);
            }
            self.resize(source, |users| {
                users.insert(user.clone(), Entry::default());
            });
        }
        let entry = self.sources.entry(source).or_default().entry(user.clone()).or_default();
        entry.last = now;
        entry
    }

    /// Removes the entry of this source that matters least: a name with few failures is the
    /// cheapest to make up.
    fn evict(&mut self, source: Source) {
        let entries = self.sources.get(&source).into_iter().flatten();
        let least = entries.min_by_key(|(_, entry)| {
            (entry.ban.is_some(), entry.failures.len(), entry.in_progress, entry.last)
        });
        if let Some((user, _)) = least {
            let user = user.clone();
            self.remove(source, &user);
        }
    }

    fn remove(&mut self, source: Source, user: &User) {
        self.resize(source, |users| {
            users.remove(user);
        });
    }

    /// Changes the entries of a source, and then what depends on their number.
    fn resize(&mut self, source: Source, change: impl FnOnce(&mut BTreeMap<User, Entry>)) {
        let users = self.sources.entry(source).or_default();
        let before = users.len();
        change(users);
        let after = users.len();
        if after == 0 {
            self.sources.remove(&source);
        }
        self.sizes.remove(&(before, source));
        if after > 0 {
            self.sizes.insert((after, source));
        }
        self.len = self.len - before + after;
    }
}

impl Entry {
    /// Forgets old failures and a ban that has ended, which is returned.
    fn forget(&mut self, now: Time) -> Option<BanState> {
        while self.failures.pop_front_if(|at| !is_recent(*at, now)).is_some() {}
        self.ban.take_if(|ban| ban.until <= now)
    }

    fn is_empty(&self) -> bool {
        self.failures.is_empty() && self.in_progress == 0 && self.ban.is_none()
    }
}

impl BanState {
    fn of(self, source: Source, user: &User) -> Ban {
        let Self { failures, until, refused } = self;
        Ban { source, user: user.clone(), failures, until, refused }
    }
}

fn is_recent(at: Time, now: Time) -> bool {
    now.since(at) < Logons::WINDOW
}

/// The delay of the answer that is the last of so many failures.
fn delay(failures: usize) -> Duration {
    let Some(further) = failures.checked_sub(Logons::FIRST_DELAYED) else { return Duration::ZERO };
    let doubled = u32::try_from(further).ok().and_then(|further| 1_u64.checked_shl(further));
    Duration::from_secs(doubled.unwrap_or(u64::MAX).clamp(1, Logons::MAX_DELAY))
}

#[cfg(test)]
mod tests;
