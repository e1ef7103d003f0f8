//! firewalld, where it runs or will: whether clients get in, and get to our ports.

use crate::{
    finding::Finding,
    host::{
        Facts,
        machine::firewall::{Firewall, Zone, diverted_by_vendor, open_port::OpenPort},
    },
    installation::firewall::Rule,
};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(firewall) = &facts.machine.firewall else { return Vec::new() };
    let ports = OpenPort::all(&facts.listeners);
    let is_prepared = facts.machine.is_prepared;
    let mut findings = Vec::new();
    findings.extend(closed(firewall, &ports, is_prepared));
    let rules = [&firewall.now, &firewall.kept].into_iter().flatten();
    let zones = rules.flat_map(|rules| &rules.zones).filter(|zone| firewall.uses(&zone.name));
    for finding in zones.flat_map(|zone| elsewhere(zone, &ports, is_prepared)) {
        // The same rule stands in both sets.
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

/// Clients may come in by any zone in use, so it is told only where none lets them.
fn closed(firewall: &Firewall, ports: &[OpenPort], is_prepared: bool) -> Option<Finding> {
    let rules = firewall.rules()?;
    let is_closed = |port: &&OpenPort| !rules.used().any(|zone| rules.let_in(zone, **port));
    let closed: Vec<&OpenPort> = ports.iter().filter(is_closed).collect();
    let zone = rules.used().next().filter(|_| !closed.is_empty())?;
    let names: Vec<_> = closed.iter().map(|port| port.name()).collect();
    let flags: Vec<_> = names.iter().map(|name| format!("--add-port={name}")).collect();
    let cure = if is_prepared {
        "nothing to do: `install` allows it, and `uninstall` undoes that".to_owned()
    } else {
        let flags = flags.join(" ");
        format!("`firewall-cmd --zone={} {flags}`, and again with `--permanent`", zone.name)
    };
    let what = format!("firewalld blocks clients from {}", names.join(", "));
    Some(Finding::warning("host.firewall-closed", what, cure))
}

/// Whoever is sent to another port does not come to ours.
fn elsewhere(zone: &Zone, ports: &[OpenPort], is_prepared: bool) -> Vec<Finding> {
    let finding = |port: &OpenPort, rule: &Rule| {
        let (kind, text) = rule.words();
        let cure = if is_prepared && diverted_by_vendor(rule).is_some() {
            "nothing to do: `install` removes that rule, and `uninstall` restores it".to_owned()
        } else {
            let quote = if kind == "rich-rule" { "'" } else { "" };
            format!(
                "`firewall-cmd --zone={} --remove-{kind}={quote}{text}{quote}`, and again with \
                 `--permanent`",
                zone.name
            )
        };
        let what = format!("firewalld forwards {} elsewhere: {text}", port.name());
        Finding::warning("host.firewall-forward", what, cure)
    };
    let of_door = |port| zone.diversions(port).into_iter().map(move |rule| (port, rule));
    let all = ports.iter().copied().flat_map(of_door);
    all.map(|(port, rule)| finding(&port, &rule)).collect()
}
