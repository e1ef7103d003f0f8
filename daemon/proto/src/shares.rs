//! Who gives way when places or bytes run out. A source has no fixed share: an office behind NAT, or
//! a balancer that passes TLS through, is one source. Only when everything is taken does the source
//! that holds the most lose something for a newcomer.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeSet, HashMap},
    net::{IpAddr, Ipv6Addr},
};

/// Where something comes from: an IPv4 address, or an IPv6 network of 64 bits, since whoever has one
/// of its addresses has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(IpAddr);

/// What a holder is worth; the least worthy gives way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Worth {
    /// Nothing is known of it.
    Idle,
    /// It has started something, for example sent a part of a request.
    Started,
    /// It belongs to a session of a user who is not known yet.
    Stranger,
    /// It belongs to a session of a user who gave a right password, and has to give more.
    FirstFactor,
    /// It belongs to a user, and can give way all the same.
    User,
    /// It never gives way.
    Kept,
}

/// What counts more when somebody has to give way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The source that holds the most, and of that source the least worthy.
    SourceFirst,
    /// The least worthy of all, and among them the source that holds the most.
    WorthFirst,
}

/// A holder's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

/// Nobody who holds something has to give way to this newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("everything is taken")]
pub struct Full;

/// Who holds how many units of a limited number. Every operation takes logarithmic time.
#[derive(Debug)]
pub struct Shares {
    capacity: u64,
    order: Order,
    used: u64,
    /// The number of the last holder or change.
    last: u64,
    holders: HashMap<Id, Holder>,
    groups: HashMap<Group, Held>,
    /// The group that gives way first is the last one here.
    ranks: BTreeSet<Rank>,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    source: Source,
    worth: Worth,
    amount: u64,
    /// When its worth was set; the earliest gives way first.
    since: u64,
}

/// Holders among whom the oldest of the least worthy gives way first.
type Group = (Worth, Source);

/// What a group holds that may give way.
#[derive(Debug, Default)]
struct Held {
    amount: u64,
    queue: BTreeSet<Turn>,
}

type Turn = (Worth, u64, Id);
type Rank = (Reverse<Worth>, u64, Reverse<Turn>, Source);

impl Source {
    /// The source of that address.
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

impl Shares {
    /// So many units, of which nobody holds any.
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

    /// Lets a newcomer have one unit, and returns who has lost everything for it.
    ///
    /// # Errors
    ///
    /// Where nobody has to give way: those who might are worth more, or hold less than the
    /// newcomer's source would.
    pub fn enter(&mut self, source: Source, worth: Worth) -> Result<(Id, Option<Id>), Full> {
        let evicted = self.make_room(self.group(worth, source), None)?;
        let since = self.next();
        let id = Id(since);
        self.add(id, Holder { source, worth, amount: 1, since });
        Ok((id, evicted))
    }

    /// As `enter`, but a source that holds as much as any keeps what it has and gets no more.
    ///
    /// # Errors
    ///
    /// As for `enter`, and where the newcomer's own source would have to give way.
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

    /// Lets a holder have one more unit, and returns who has lost everything for it.
    ///
    /// # Errors
    ///
    /// Where nobody has to give way, where it is this holder's own turn, and where it lost what it
    /// held.
    pub fn grow(&mut self, id: Id) -> Result<Option<Id>, Full> {
        let holder = *self.holders.get(&id).ok_or(Full)?;
        let evicted = self.make_room(self.group(holder.worth, holder.source), Some(id))?;
        self.change(id, |holder| holder.amount += 1);
        Ok(evicted)
    }

    /// Sets a holder's worth, which makes it the youngest of that worth. Whether it still holds
    /// something.
    pub fn set_worth(&mut self, id: Id, worth: Worth) -> bool {
        let since = self.next();
        self.change(id, |holder| (holder.worth, holder.since) = (worth, since))
    }

    /// Counts a holder for another source. Whether it still holds something.
    pub fn set_source(&mut self, id: Id, source: Source) -> bool {
        self.change(id, |holder| holder.source = source)
    }

    /// A holder gives everything back.
    pub fn leave(&mut self, id: Id) {
        self.remove(id);
    }

    /// Takes what the first in turn holds, for a newcomer of no source.
    pub fn evict(&mut self) -> Option<Id> {
        let (_, _, Reverse((_, _, id)), _) = *self.ranks.last()?;
        self.remove(id);
        Some(id)
    }

    /// How many units are held.
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

    /// Evicts where there is no room for one more unit of a newcomer, or of that holder.
    fn make_room(&mut self, group: Group, holder: Option<Id>) -> Result<Option<Id>, Full> {
        if self.used < self.capacity {
            return Ok(None);
        }
        let victim = self.victim(group).filter(|id| Some(*id) != holder).ok_or(Full)?;
        self.remove(victim);
        Ok(Some(victim))
    }

    /// Who gives way to one more unit of that group.
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
