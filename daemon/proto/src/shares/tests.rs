//! The rule by examples, and against a simple reimplementation that checks all holders each time.

use proptest::prelude::*;

use super::*;

fn source(number: u8) -> Source {
    Source::of(IpAddr::from([192, 0, 2, number]))
}

/// Enters without evicting anybody.
fn taken(shares: &mut Shares, from: u8, worth: Worth) -> Id {
    let (id, evicted) = shares.enter(source(from), worth).unwrap();
    assert_eq!(evicted, None);
    id
}

fn evicted(shares: &mut Shares, from: u8) -> Result<Option<Id>, Full> {
    shares.enter(source(from), Worth::Idle).map(|(_, evicted)| evicted)
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_source_and_a_mapped_address_is_ipv4() {
    let of = |text: &str| Source::of(text.parse().unwrap());

    assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
    assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
    assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
}

#[test]
fn one_source_may_hold_everything_until_another_arrives() {
    let mut shares = Shares::new(3, Order::SourceFirst);
    let all = [1, 1, 1].map(|from| taken(&mut shares, from, Worth::Idle));

    assert_eq!(evicted(&mut shares, 2), Ok(Some(all[0])));
    assert_eq!(evicted(&mut shares, 1), Ok(Some(all[1])), "its own oldest");
    assert_eq!(shares.used(), 3);
}

#[test]
fn the_least_worthy_and_oldest_of_the_largest_source_is_evicted() {
    let mut shares = Shares::new(5, Order::SourceFirst);
    let alone = taken(&mut shares, 1, Worth::Idle);
    let stranger = taken(&mut shares, 2, Worth::Stranger);
    let started = taken(&mut shares, 2, Worth::Started);
    let used_again = taken(&mut shares, 2, Worth::Idle);
    let idle = taken(&mut shares, 2, Worth::Idle);
    assert!(shares.set_worth(used_again, Worth::Idle));

    let order = [3, 4, 5, 6].map(|from| evicted(&mut shares, from).unwrap().unwrap());

    // Each source holds one: the oldest of the least worthy is evicted.
    assert_eq!(order, [idle, used_again, started, alone]);
    assert!(shares.set_worth(stranger, Worth::Idle));
    assert!(!shares.set_worth(idle, Worth::Kept), "it is gone");
}

#[test]
fn a_kept_holder_is_never_evicted() {
    let mut shares = Shares::new(2, Order::SourceFirst);
    let kept = taken(&mut shares, 1, Worth::Kept);
    let second = taken(&mut shares, 1, Worth::Idle);

    assert!(shares.set_worth(second, Worth::Kept));
    assert_eq!(evicted(&mut shares, 2), Err(Full));
    assert_eq!(shares.evict(), None);
    shares.leave(kept);
    shares.leave(kept);
    assert_eq!(evicted(&mut shares, 2), Ok(None));
}

#[test]
fn with_worth_first_a_worthier_holder_is_never_evicted() {
    let mut shares = Shares::new(3, Order::WorthFirst);
    let users = [1, 1].map(|from| taken(&mut shares, from, Worth::FirstFactor));
    let stranger = taken(&mut shares, 2, Worth::Stranger);

    let entered = shares.enter(source(1), Worth::FirstFactor).unwrap();
    assert_eq!(entered.1, Some(stranger), "though its source holds less");
    assert_eq!(shares.enter(source(3), Worth::Stranger), Err(Full));
    assert_eq!(shares.enter(source(3), Worth::FirstFactor).unwrap().1, Some(users[0]));
}

#[test]
fn a_holder_that_grows_counts_with_all_its_units() {
    let mut shares = Shares::new(4, Order::WorthFirst);
    let large = taken(&mut shares, 1, Worth::Idle);
    assert_eq!(shares.grow(large), Ok(None));
    assert_eq!(shares.grow(large), Ok(None));
    let small = taken(&mut shares, 2, Worth::Idle);

    assert_eq!(shares.grow(large), Err(Full), "it is its own turn");
    assert_eq!(shares.grow(small), Ok(Some(large)));
    assert_eq!(shares.used(), 2);
    assert_eq!(shares.grow(large), Err(Full), "it is gone");
}

#[test]
fn the_largest_source_may_keep_its_holders_instead() {
    let mut shares = Shares::new(3, Order::SourceFirst);
    let all = [1, 1, 2].map(|from| taken(&mut shares, from, Worth::Idle));
    let mut enter = |from| {
        let entered = shares.enter_unless_fullest(source(from), Worth::Idle);
        entered.map(|(_, evicted)| evicted)
    };

    assert_eq!(enter(1), Err(Full));
    assert_eq!(enter(2), Ok(Some(all[0])));
    assert_eq!([enter(2), enter(1)], [Err(Full), Ok(Some(all[2]))]);
}

#[test]
fn a_holder_can_be_moved_to_another_source() {
    let mut shares = Shares::new(3, Order::SourceFirst);
    let [first, second, other] = [1, 1, 2].map(|from| taken(&mut shares, from, Worth::Idle));
    assert!(shares.set_source(first, source(2)));

    assert_eq!(evicted(&mut shares, 3), Ok(Some(first)));
    assert_eq!(shares.evict(), Some(second));
    assert_eq!(shares.evict(), Some(other));
}

/// The same rule without an index.
struct Twin {
    capacity: u64,
    order: Order,
    holders: Vec<(Id, Holder)>,
}

impl Twin {
    fn group(&self, holder: &Holder) -> Group {
        let by_worth = self.order == Order::WorthFirst;
        (if by_worth { holder.worth } else { Worth::Idle }, holder.source)
    }

    fn held(&self, group: Group) -> u64 {
        let all = self.evictable().filter(|(_, holder)| self.group(holder) == group);
        all.map(|(_, holder)| holder.amount).sum()
    }

    fn evictable(&self) -> impl Iterator<Item = &(Id, Holder)> {
        self.holders.iter().filter(|(_, holder)| holder.worth != Worth::Kept)
    }

    /// The next holder to be evicted, of one group or of all.
    fn first(&self, only: Option<Group>) -> Option<(Id, Group)> {
        let all = self.evictable().map(|(id, holder)| (*id, holder, self.group(holder)));
        let all = all.filter(|(_, _, group)| only.is_none_or(|only| only == *group));
        let first = all.min_by_key(|(_, holder, group)| {
            (group.0, Reverse(self.held(*group)), holder.worth, holder.since)
        });
        first.map(|(id, _, group)| (id, group))
    }

    fn room(&mut self, holder: &Holder, growing: Option<Id>) -> Result<Option<Id>, Full> {
        if self.holders.iter().map(|(_, holder)| holder.amount).sum::<u64>() < self.capacity {
            return Ok(None);
        }
        let own = self.group(holder);
        let (mut id, group) = self.first(None).ok_or(Full)?;
        if own.0 < group.0 {
            return Err(Full);
        }
        if own.0 == group.0 && self.held(own) >= self.held(group) {
            (id, _) = self.first(Some(own)).ok_or(Full)?;
        }
        if Some(id) == growing {
            return Err(Full);
        }
        self.holders.retain(|(other, _)| *other != id);
        Ok(Some(id))
    }

    fn holder(&mut self, id: Id) -> Option<&mut Holder> {
        self.holders.iter_mut().find(|(other, _)| *other == id).map(|(_, holder)| holder)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Enter(u8, Worth),
    Grow(usize),
    SetWorth(usize, Worth),
    SetSource(usize, u8),
    Leave(usize),
    Evict,
}

fn worth() -> impl Strategy<Value = Worth> {
    use Worth::{FirstFactor, Idle, Kept, Started, Stranger, User};
    prop::sample::select(vec![Idle, Idle, Started, Stranger, FirstFactor, User, Kept])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8, worth()).prop_map(|(from, worth)| Step::Enter(from, worth)),
        2 => any::<usize>().prop_map(Step::Grow),
        2 => (any::<usize>(), worth()).prop_map(|(which, worth)| Step::SetWorth(which, worth)),
        1 => (any::<usize>(), 0..4_u8).prop_map(|(which, from)| Step::SetSource(which, from)),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => Just(Step::Evict),
    ]
}

proptest! {
    #[test]
    fn the_index_agrees_with_a_full_search(
        order in prop::sample::select(vec![Order::SourceFirst, Order::WorthFirst]),
        capacity in 1..8_u64,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut shares = Shares::new(capacity, order);
        let mut twin = Twin { capacity, order, holders: Vec::new() };
        let mut ids = vec![Id(0)];
        for step in steps {
            match step {
                Step::Enter(from, worth) => {
                    let mut holder = Holder { source: source(from), worth, amount: 1, since: 0 };
                    let entered = shares.enter(holder.source, worth);
                    let room = twin.room(&holder, None);
                    prop_assert_eq!(entered.map(|(_, evicted)| evicted), room);
                    if let Ok((id, _)) = entered {
                        holder.since = shares.last;
                        twin.holders.push((id, holder));
                        ids.push(id);
                    }
                }
                Step::Grow(which) => {
                    let id = ids[which % ids.len()];
                    let room = match twin.holder(id).copied() {
                        Some(holder) => twin.room(&holder, Some(id)),
                        None => Err(Full),
                    };
                    prop_assert_eq!(shares.grow(id), room);
                    if let (Ok(_), Some(holder)) = (room, twin.holder(id)) {
                        holder.amount += 1;
                    }
                }
                Step::SetWorth(which, worth) => {
                    let id = ids[which % ids.len()];
                    let is_there = shares.set_worth(id, worth);
                    let since = shares.last;
                    let holder = twin.holder(id);
                    prop_assert_eq!(is_there, holder.is_some());
                    holder.into_iter().for_each(|h| (h.worth, h.since) = (worth, since));
                }
                Step::SetSource(which, from) => {
                    let id = ids[which % ids.len()];
                    let is_there = shares.set_source(id, source(from));
                    let holder = twin.holder(id);
                    prop_assert_eq!(is_there, holder.is_some());
                    holder.into_iter().for_each(|holder| holder.source = source(from));
                }
                Step::Leave(which) => {
                    let id = ids[which % ids.len()];
                    shares.leave(id);
                    twin.holders.retain(|(other, _)| *other != id);
                }
                Step::Evict => {
                    let first = twin.first(None).map(|(id, _)| id);
                    prop_assert_eq!(shares.evict(), first);
                    twin.holders.retain(|(other, _)| Some(*other) != first);
                }
            }
            let used: u64 = twin.holders.iter().map(|(_, holder)| holder.amount).sum();
            prop_assert_eq!(shares.used(), used);
            prop_assert!(used <= capacity);
            prop_assert_eq!(shares.groups.len(), shares.ranks.len(), "nothing is left behind");
        }
    }
}

#[test]
fn a_source_is_read_as_it_is_displayed_or_as_an_address() {
    let table = [
        ("192.0.2.1", Some("192.0.2.1")),
        ("::ffff:192.0.2.1", Some("192.0.2.1")),
        ("2001:db8:1:2:3::4", Some("2001:db8:1:2::/64")),
        ("2001:db8:1:2::/64", Some("2001:db8:1:2::/64")),
        ("192.0.2.1/64", None),
        ("2001:db8::/48", None),
        ("office", None),
    ];
    for (text, shown) in table {
        let source = text.parse::<Source>().ok().map(|source| source.to_string());
        assert_eq!(source.as_deref(), shown, "{text}");
    }
}
