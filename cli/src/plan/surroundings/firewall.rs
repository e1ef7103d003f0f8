//! What firewalld lets in: the ports of the installation by a service of its own, in every zone by
//! which clients come in and which does not let them in anyway. firewalld takes a new service up only
//! when it loads its files, which would lose what others have set for the present; until then the
//! ports stand in its place.

use crate::{
    host::machine::firewall::{Firewall, Rules, Zone, diverted_by_vendor, open_port::OpenPort},
    installation::{
        firewall::{Edit, Entry, Rule, Scope},
        surroundings::FirewallChanges,
    },
};

/// How the rules are to change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FirewallPlan {
    pub(super) edits: Vec<Edit>,
    /// What is ours afterwards.
    pub(super) ours: FirewallChanges,
}

impl FirewallPlan {
    /// Decides it for these ports; without any everything is taken back.
    pub(super) fn draft(firewall: &Firewall, ports: &[OpenPort], ours: &FirewallChanges) -> Self {
        let mut change = Self::default();
        let entrances = if ports.is_empty() { Vec::new() } else { firewall.entrances() };
        let site = Context { firewall, ports, entrances };
        if let Some(kept) = &firewall.kept {
            change.keep(&site, kept);
        }
        if let Some(now) = &firewall.now {
            for zone in &now.zones {
                change.open(&site, (now, zone), ours);
            }
        }
        for scope in [Scope::Now, Scope::Kept] {
            if let Some(rules) = site.rules(scope) {
                change.clear(&site, (scope, rules));
            }
        }
        for entry in &ours.removed {
            change.bring_back(&site, entry);
        }
        change
    }

    /// The service, and who lets it in.
    fn keep(&mut self, site: &Context<'_>, kept: &Rules) {
        let ports: Vec<_> = site.ports.iter().map(|port| port.name()).collect();
        let has = |zone: &&Zone| zone.has_our_service();
        let is_shut = |zone: &&Zone| !site.ports.iter().all(|port| zone.lets_in(*port));
        let lacking = kept.zones.iter().filter(|zone| site.is_entrance(zone) && !has(zone));
        let lacking: Vec<_> = lacking.filter(is_shut).collect();
        let having: Vec<_> = kept.zones.iter().filter(has).collect();
        let is_closed = !lacking.is_empty() || !having.is_empty();
        let is_needed = is_closed && !ports.is_empty();
        let after = if is_needed { ports } else { Vec::new() };
        let define = Edit::Define { before: kept.service.clone(), after: after.clone() };
        let is_other = !is_same(&kept.service, &after);
        let entry = |zone: &Zone| Entry {
            scope: Scope::Kept,
            zone: zone.name.clone(),
            rule: Rule::Service,
        };
        if is_needed {
            self.edits.extend(is_other.then_some(define));
            self.edits.extend(lacking.into_iter().map(|zone| Edit::Add(entry(zone))));
        } else {
            self.edits.extend(having.into_iter().map(|zone| Edit::Remove(entry(zone))));
            self.edits.extend(is_other.then_some(define));
        }
    }

    /// What a zone lets in at present.
    fn open(&mut self, site: &Context<'_>, (now, zone): (&Rules, &Zone), ours: &FirewallChanges) {
        let entry = |rule| Entry { scope: Scope::Now, zone: zone.name.clone(), rule };
        let wanted: Vec<_> = site.ports.iter().map(|port| port.name()).collect();
        // It may have been loaded when it stood for other ports.
        let is_stale = zone.has_our_service() && !is_same(&now.service, &wanted);
        if is_stale {
            self.edits.push(Edit::Remove(entry(Rule::Service)));
        }
        let recorded = ours.opened.get(&zone.name).map_or(&[][..], Vec::as_slice);
        let is_ours = |port: &String| {
            let kept = site.firewall.kept.as_ref().and_then(|kept| kept.zone(&zone.name));
            // Who has made it permanent wants it.
            zone.ports.contains(port) && !kept.is_some_and(|kept| kept.ports.contains(port))
        };
        let recorded: Vec<_> = recorded.iter().filter(|port| is_ours(port)).collect();
        let mut opened = Vec::new();
        for open in site.ports.iter().filter(|_| site.is_entrance(zone)) {
            let port = open.name();
            if recorded.contains(&&port) {
                opened.push(port);
            } else if !(zone.lets_in(*open) || (zone.has_our_service() && !is_stale)) {
                self.edits.push(Edit::Add(entry(Rule::Port(port.clone()))));
                opened.push(port);
            }
        }
        let closed = recorded.into_iter().filter(|port| !opened.contains(port));
        self.edits.extend(closed.map(|port| Edit::Remove(entry(Rule::Port(port.clone())))));
        if !opened.is_empty() {
            self.ours.opened.insert(zone.name.clone(), opened);
        }
    }

    /// Removes the vendor's rules that send elsewhere what comes for a port.
    fn clear(&mut self, site: &Context<'_>, (scope, rules): (Scope, &Rules)) {
        for zone in rules.zones.iter().filter(|zone| site.firewall.uses(&zone.name)) {
            let diversions = site.ports.iter().flat_map(|port| zone.diversions(*port));
            for rule in diversions.filter(|rule| diverted_by_vendor(rule).is_some()) {
                let entry = Entry { scope, zone: zone.name.clone(), rule };
                self.edits.push(Edit::Remove(entry.clone()));
                self.ours.removed.push(entry);
            }
        }
    }

    /// Brings back a rule whose port is no port any more.
    fn bring_back(&mut self, site: &Context<'_>, entry: &Entry) {
        let port = diverted_by_vendor(&entry.rule);
        let is_open = |open: &OpenPort| Some(open.port) == port && open.transport == "tcp";
        if site.ports.iter().any(is_open) {
            if !self.ours.removed.contains(entry) {
                self.ours.removed.push(entry.clone());
            }
            return;
        }
        let zone = site.rules(entry.scope).and_then(|rules| rules.zone(&entry.zone));
        if zone.is_some_and(|zone| !zone.has(&entry.rule)) {
            self.edits.push(Edit::Add(entry.clone()));
        }
    }
}

/// What decisions are made by.
struct Context<'a> {
    firewall: &'a Firewall,
    ports: &'a [OpenPort],
    /// The zones by which clients come in.
    entrances: Vec<&'a str>,
}

impl Context<'_> {
    fn is_entrance(&self, zone: &Zone) -> bool {
        self.entrances.contains(&zone.name.as_str())
    }

    fn rules(&self, scope: Scope) -> Option<&Rules> {
        match scope {
            Scope::Now => self.firewall.now.as_ref(),
            Scope::Kept => self.firewall.kept.as_ref(),
        }
    }
}

/// Whether these are the same ports, in whatever order.
fn is_same(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|port| other.contains(port))
}

#[cfg(test)]
mod tests;
