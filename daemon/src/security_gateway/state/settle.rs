//! Applies what the rules decided: to the routes, the control connections, the journals and the
//! peers.

use std::{collections::HashMap, net::IpAddr};

use cmsg_proto::gateway::{Event, RouteChange, Side};
use tracing::info;

use super::{Core, GatewayState};

/// The addresses from which clients may send datagrams, and which rules expect them.
#[derive(Debug, Default)]
pub(super) struct Expected(HashMap<IpAddr, [bool; 2]>);

/// Who expects datagrams from an address.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    /// The sessions that this gateway serves.
    Admission,
    /// The sessions that it may take over.
    Standby,
}

impl Expected {
    /// Changes who expects datagrams from an address. Returns the change for the workers, if there
    /// is one.
    fn change(&mut self, ip: IpAddr, by: By, is_expected: bool) -> Option<RouteChange> {
        let both = self.0.entry(ip).or_default();
        let before = both.contains(&true);
        both[by as usize] = is_expected;
        let after = both.contains(&true);
        if !after {
            self.0.remove(&ip);
        }
        match (before, after) {
            (false, true) => Some(RouteChange::Expected(Side::Client, ip)),
            (true, false) => Some(RouteChange::Unexpected(Side::Client, ip)),
            _ => None,
        }
    }
}

impl GatewayState {
    /// Applies the decisions of the rules.
    pub(super) fn settle(&self, core: &mut Core) {
        loop {
            self.settle_events(core);
            let now = crate::clock::now();
            if !self.settle_with_peers(core, now) {
                break;
            }
        }
        self.settle_routes(core);
        self.journal.push(core.admission.take_records(), core.admission.recorded());
        self.record_granted(core);
    }

    fn settle_events(&self, core: &mut Core) {
        let events = core.admission.take_events();
        let opened = |id| events.iter().any(|it| matches!(it, Event::Opened(_, it) if it == id));
        for event in &events {
            match event {
                Event::Opened(slot, id) | Event::TakenOver(slot, id) => {
                    self.counters.reserve(slot.index() + 1);
                    core.began.insert(*slot, self.counters.traffic(*slot));
                    core.keys.extend(core.admission.key(*slot).map(|key| (*slot, key)));
                    self.announced.send_modify(|sessions| *sessions += 1);
                    if matches!(event, Event::Opened(..)) {
                        info!(session = %id, "Session announced");
                    }
                }
                Event::Close(control) => {
                    if let Some(closer) = core.closers.remove(control) {
                        closer.cancel();
                    }
                }
                Event::Moved(slot, id) => {
                    core.began.remove(slot);
                    core.keys.remove(slot);
                    info!(session = %id, "Session moved to another gateway");
                }
                Event::Ended(slot, id, reason) => {
                    let traffic = self.traffic(core, *slot);
                    core.began.remove(slot);
                    self.end_with_peers(core, *slot);
                    self.ends.note(id, *reason, traffic, opened(id));
                }
            }
        }
    }

    fn settle_routes(&self, core: &mut Core) {
        for change in core.admission.take_changes() {
            match change {
                RouteChange::Expected(Side::Client, ip) => {
                    self.expect(core, ip, By::Admission, true);
                }
                RouteChange::Unexpected(Side::Client, ip) => {
                    self.expect(core, ip, By::Admission, false);
                }
                other => self.routes.apply(other),
            }
        }
    }

    /// Changes from where clients' datagrams may come.
    pub(super) fn expect(&self, core: &mut Core, ip: IpAddr, by: By, is_expected: bool) {
        let Some(change) = core.expected.change(ip, by, is_expected) else { return };
        self.routes.apply(change);
        if is_expected {
            self.floods.expect(ip);
        } else {
            self.floods.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_expected_while_anyone_expects_it() {
        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        let mut expected = Expected::default();
        let added = Some(RouteChange::Expected(Side::Client, ip));
        let removed = Some(RouteChange::Unexpected(Side::Client, ip));

        for (by, is_expected, change) in [
            (By::Standby, true, added),
            (By::Admission, true, None),
            (By::Admission, true, None),
            (By::Standby, false, None),
            (By::Admission, false, removed),
            (By::Standby, false, None),
        ] {
            assert_eq!(expected.change(ip, by, is_expected), change);
        }
        assert!(expected.0.is_empty());
    }
}
