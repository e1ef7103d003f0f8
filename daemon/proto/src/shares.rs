//! Decides what is evicted when connections, sessions or bytes run out. A source has no fixed
//! share: an office behind NAT, or a load balancer that passes TLS through, is a single source.
//! Only when everything is in use does the source that holds the most lose something to a newcomer.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeSet, HashMap},
    fmt,
    net::{AddrParseError, IpAddr, Ipv6Addr},
    str::FromStr,
};

/// An IPv4 address, or an IPv6 /64 network, since one host can use all addresses of its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(IpAddr);

/// The worth of a holder. The least worthy is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Worth {
    /// It has sent nothing.
    Idle,
    /// It has sent something, for example a part of a request.
    Started,
    /// It belongs to a session whose user has not logged on.
    Stranger,
    /// It belongs to a session whose user gave a correct password, and must give more.
    FirstFactor,
    /// It belongs to a user's session, but may be evicted.
    User,
    /// It is never evicted.
    Kept,
}

/// The criterion that comes first when something is evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The source that holds the most, then the least worthy of its holders.
    SourceFirst,
    /// The least worthy holders, then the source that holds the most.
    WorthFirst,
}

/// Identifies a holder; ids are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

/// Nothing can be evicted for this newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("everything is taken")]
pub struct Full;

/// Which holders have how many units of a limited resource. All operations take logarithmic time.
#[derive(Debug)]
pub struct Shares {
    capacity: u64,
    order: Order,
    used: u64,
    /// The last number given to a holder or a change.
    last: u64,
    holders: HashMap<Id, Holder>,
    groups: HashMap<Group, Held>,
    /// The last group is evicted first.
    ranks: BTreeSet<Rank>,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    source: Source,
    worth: Worth,
    amount: u64,
    /// When its worth was set; the earliest is evicted first.
    since: u64,
}

/// Holders of equal worth and source; the oldest of them is evicted first.
type Group = (Worth, Source);

/// The units of a group that may be evicted.
#[derive(Debug, Default)]
struct Held {
    amount: u64,
    queue: BTreeSet<Turn>,
}

type Turn = (Worth, u64, Id);
type Rank = (Reverse<Worth>, u64, Reverse<Turn>, Source);

impl Source {
    /// The source of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => v4.fmt(f),
            IpAddr::V6(v6) => write!(f, "{v6}/64"),
        }
    }
}

impl FromStr for Source {
    type Err = AddrParseError;

    /// The source of an address, or a network as it is displayed.
    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        text.strip_suffix("/64")
            .filter(|network| network.contains(':'))
            .unwrap_or(text)
            .parse()
            .map(Self::of)
    }
}

impl Shares {
    /// `capacity` units, all free.
    #[must_use]
    pub fn new(capacity: u64, order: Order) -> Self {
        Self {
            capacity,
            order,
            used: 0,
            last: 0,
            holders: HashMap::new(),
            groups: HashMap::new(),
            ranks: BTreeSet::new(),
        }
    }

    /// Gives a newcomer one unit. Returns the holder that was evicted for it.
    ///
    /// # Errors
    ///
    /// [`Full`] if nothing can be evicted: the candidates are worth more, or their source holds
    /// less than the newcomer's would.
    pub fn enter(&mut self, source: Source, worth: Worth) -> Result<(Id, Option<Id>), Full> {
        let evicted = self.make_room(self.group(worth, source), None)?;
        let since = self.next();
        let id = Id(since);
        self.add(id, Holder { source, worth, amount: 1, since });
        Ok((id, evicted))
    }

    /// Like [`Shares::enter`], but a source that holds as much as any other does not evict its own
    /// holders.
    ///
    /// # Errors
    ///
    /// [`Full`] as for [`Shares::enter`], and if the newcomer's own source would lose a unit.
    pub fn enter_unless_fullest(
        &mut self,
        source: Source,
        worth: Worth,
    ) -> Result<(Id, Option<Id>), Full> {
        let own = self.groups.get(&self.group(worth, source)).map_or(0, |own| own.amount);
        let most = self.ranks.last().map_or(0, |(_, most, ..)| *most);
        if self.used >= self.capacity && own >= most {
            return Err(Full);
        }
        self.enter(source, worth)
    }

    /// Gives a holder one more unit. Returns the holder that was evicted for it.
    ///
    /// # Errors
    ///
    /// [`Full`] if nothing can be evicted, if this holder is the next one to be evicted, or if it
    /// was evicted.
    pub fn grow(&mut self, id: Id) -> Result<Option<Id>, Full> {
        let holder = *self.holders.get(&id).ok_or(Full)?;
        let evicted = self.make_room(self.group(holder.worth, holder.source), Some(id))?;
        self.change(id, |holder| holder.amount += 1);
        Ok(evicted)
    }

    /// Sets the worth of a holder, which becomes the youngest of that worth. Returns whether it
    /// still holds something.
    pub fn set_worth(&mut self, id: Id, worth: Worth) -> bool {
        let since = self.next();
        self.change(id, |holder| (holder.worth, holder.since) = (worth, since))
    }

    /// Moves a holder to another source. Returns whether it still holds something.
    pub fn set_source(&mut self, id: Id, source: Source) -> bool {
        self.change(id, |holder| holder.source = source)
    }

    /// Frees all units of a holder.
    pub fn leave(&mut self, id: Id) {
        self.remove(id);
    }

    /// Evicts the first candidate, without a newcomer.
    pub fn evict(&mut self) -> Option<Id> {
        let (_, _, Reverse((_, _, id)), _) = *self.ranks.last()?;
        self.remove(id);
        Some(id)
    }

    /// Number of units in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn group(&self, worth: Worth, source: Source) -> Group {
        match self.order {
            Order::SourceFirst => (Worth::Idle, source),
            Order::WorthFirst => (worth, source),
        }
    }

    /// Evicts a holder if there is no free unit for a newcomer of this group, or for `holder`.
    fn make_room(&mut self, group: Group, holder: Option<Id>) -> Result<Option<Id>, Full> {
        if self.used < self.capacity {
            return Ok(None);
        }
        let victim = self.victim(group).filter(|id| Some(*id) != holder).ok_or(Full)?;
        self.remove(victim);
        Ok(Some(victim))
    }

    /// The holder to evict for one more unit of this group.
    fn victim(&self, group: Group) -> Option<Id> {
        let (Reverse(worth), most, Reverse((_, _, id)), _) = *self.ranks.last()?;
        let own = self.groups.get(&group);
        let is_most = own.is_some_and(|own| own.amount >= most);
        match group.0.cmp(&worth) {
            Ordering::Equal if is_most => own?.queue.first().map(|(_, _, id)| *id),
            Ordering::Equal | Ordering::Greater => Some(id),
            Ordering::Less => None,
        }
    }

    fn change(&mut self, id: Id, change: impl FnOnce(&mut Holder)) -> bool {
        let Some(mut holder) = self.remove(id) else { return false };
        change(&mut holder);
        self.add(id, holder);
        true
    }

    fn add(&mut self, id: Id, holder: Holder) {
        let Holder { source, worth, amount, since } = holder;
        self.used += amount;
        self.holders.insert(id, holder);
        if worth != Worth::Kept {
            self.regroup(self.group(worth, source), |held| {
                held.amount += amount;
                held.queue.insert((worth, since, id));
            });
        }
    }

    fn remove(&mut self, id: Id) -> Option<Holder> {
        let holder = self.holders.remove(&id)?;
        let Holder { source, worth, amount, since } = holder;
        self.used -= amount;
        if worth != Worth::Kept {
            self.regroup(self.group(worth, source), |held| {
                held.amount -= amount;
                held.queue.remove(&(worth, since, id));
            });
        }
        Some(holder)
    }

    fn regroup(&mut self, group: Group, change: impl FnOnce(&mut Held)) {
        let held = self.groups.entry(group).or_default();
        if let Some(rank) = rank(group, held) {
            self.ranks.remove(&rank);
        }
        change(held);
        match rank(group, held) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.groups.remove(&group);
            }
        }
    }
}

fn rank((worth, source): Group, held: &Held) -> Option<Rank> {
    held.queue.first().map(|turn| (Reverse(worth), held.amount, Reverse(*turn), source))
}

#[cfg(test)]
mod tests;
