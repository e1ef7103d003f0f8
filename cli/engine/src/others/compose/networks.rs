//! The networks of the services. The stack's own ones are defined, others are only referenced.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{super::fields::Fields, is_own, same, short};

/// An option that the engine adds by itself.
const GIVEN: &str = "com.docker.network.driver.overlay.vxlanid_list";

/// The networks by id, and which of them are used.
#[derive(Default)]
pub(super) struct Networks {
    all: BTreeMap<String, Value>,
    used: BTreeSet<String>,
}

impl Networks {
    /// The networks of the engine.
    pub(super) fn of(all: &[Value]) -> Self {
        let named = all.iter().filter_map(|it| Some((it["Id"].as_str()?.to_owned(), it.clone())));
        Self { all: named.collect(), used: BTreeSet::new() }
    }

    /// The names of the stack's own networks.
    pub(super) fn own(&self) -> impl Iterator<Item = &str> {
        let own = self.all.values().filter(|network| is_own(&network["Labels"]));
        own.filter_map(|network| network["Name"].as_str())
    }

    /// The `networks` of a service.
    pub(super) fn attach(&mut self, attached: &[Value], service: &str) -> Value {
        let mut said = Map::new();
        for one in attached {
            let id = one["Target"].as_str().unwrap_or_default().to_owned();
            let name = self.all.get(&id).and_then(|network| network["Name"].as_str());
            let name = name.unwrap_or(&id).to_owned();
            let aliases = one["Aliases"].as_array().into_iter().flatten();
            // Every service is reachable by its own name anyway.
            let aliases: Vec<_> = aliases.filter(|alias| **alias != service).cloned().collect();
            let how = if aliases.is_empty() { Value::Null } else { json!({ "aliases": aliases }) };
            said.insert(short(&name).to_owned(), how);
            self.used.insert(id);
        }
        said.into()
    }

    /// The networks that services use.
    pub(super) fn render(&self, lost: &mut Vec<String>) -> Map<String, Value> {
        let mut networks = Map::new();
        for id in &self.used {
            let Some(network) = self.all.get(id) else {
                networks.insert(id.clone(), json!({ "name": id, "external": true }));
                continue;
            };
            let name = network["Name"].as_str().unwrap_or_default();
            let said = if is_own(&network["Labels"]) {
                own(network, name, lost)
            } else {
                json!({ "name": name, "external": true })
            };
            networks.insert(short(name).to_owned(), said);
        }
        networks
    }
}

fn own(network: &Value, name: &str, lost: &mut Vec<String>) -> Value {
    let mut said = Map::from_iter([("name".to_owned(), Value::from(name))]);
    let mut fields = Fields::of(Some(network.clone()), name, lost);
    let ranges = &fields.look("IPAM")["Config"];
    let ranges = ranges.as_array().into_iter().flatten().filter_map(|range| range.get("Subnet"));
    let ranges: Vec<_> = ranges.map(|range| json!({ "subnet": range })).collect();
    fields.map(
        &[
            ("Driver", "driver", same),
            ("Attachable", "attachable", same),
            ("Internal", "internal", same),
        ],
        &mut said,
    );
    let mut options = fields.object("Options");
    options.remove(GIVEN);
    super::put(&mut said, "driver_opts", options);
    super::put(&mut said, "labels", super::labels(&mut fields));
    if !ranges.is_empty() {
        said.insert("ipam".to_owned(), json!({ "config": ranges }));
    }
    if fields.look("EnableIPv6") == true {
        fields.note("EnableIPv6");
    }
    said.into()
}
