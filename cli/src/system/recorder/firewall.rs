//! A firewall that is only remembered: the zone `public`, which is the default one, with an
//! interface, and `docker`, which lets everybody in.

use crate::{
    host::machine::firewall::{Firewall, Rules, Zone},
    installation::firewall::{Edit, Entry, Rule, SERVICE, Scope},
};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// The ports of our service in its files.
    pub(crate) service: Vec<String>,
    /// The ports of our service when it loaded them.
    pub(crate) loaded: Vec<String>,
    pub(crate) rules: Vec<Entry>,
}

impl Remembered {
    /// One with these rules of `public`, each for the present and in the files.
    pub(crate) fn with(rules: &[Rule]) -> Self {
        let mut all = Self::default();
        for rule in rules {
            for scope in [Scope::Now, Scope::Kept] {
                all.edit(&Edit::Add(Entry { scope, zone: "public".into(), rule: rule.clone() }));
            }
        }
        all
    }

    pub(crate) fn edit(&mut self, edit: &Edit) {
        match edit {
            Edit::Define { after, .. } => self.service.clone_from(after),
            Edit::Add(entry) => {
                self.rules.push(entry.clone());
                self.rules.sort_by_key(|entry| format!("{entry:?}"));
                self.rules.dedup();
            }
            Edit::Remove(entry) => self.rules.retain(|other| other != entry),
        }
    }

    pub(crate) fn reload(&mut self) {
        self.loaded.clone_from(&self.service);
        self.rules.retain(|entry| entry.scope == Scope::Kept);
        let now = |entry: &Entry| Entry { scope: Scope::Now, ..entry.clone() };
        let loaded: Vec<_> = self.rules.iter().map(now).collect();
        self.rules.splice(..0, loaded);
        self.rules.sort_by_key(|entry| format!("{entry:?}"));
    }

    /// What the installer reads of it.
    pub(crate) fn facts(&self) -> Firewall {
        Firewall {
            now: Some(Rules { zones: self.zones(Scope::Now), service: self.loaded.clone() }),
            kept: Some(Rules { zones: self.zones(Scope::Kept), service: self.service.clone() }),
        }
    }

    fn zones(&self, scope: Scope) -> Vec<Zone> {
        let zone = |name: &str, target: &str| {
            let mut zone = Zone {
                name: name.to_owned(),
                target: target.to_owned(),
                is_used: true,
                is_default: name == "public",
                has_interfaces: true,
                ..Zone::default()
            };
            for entry in self.rules.iter().filter(|it| it.scope == scope && it.zone == name) {
                match entry.rule.clone() {
                    Rule::Service => zone.services.push(SERVICE.to_owned()),
                    Rule::Port(text) => zone.ports.push(text),
                    Rule::Forward(text) => zone.forwards.push(text),
                    Rule::Rich(text) => zone.rules.push(text),
                }
            }
            zone
        };
        vec![zone("public", "default"), zone("docker", "ACCEPT")]
    }
}
