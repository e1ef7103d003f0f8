//! firewalld, where it runs: whether clients get in, and get to our ports.

use std::net::SocketAddr;

use crate::{
    finding::Finding,
    host::{
        Facts,
        machine::firewall::{Firewall, Zone},
    },
    wanted::listen::ListenKey,
};

/// A port that clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Door {
    port: u16,
    transport: &'static str,
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let Some(firewall) = &facts.machine.firewall else { return Vec::new() };
    let doors: Vec<Door> = facts
        .listeners
        .iter()
        .filter_map(|(key, listener)| Some((*key, listener.address?)))
        .filter(|(_, address)| !address.ip().is_loopback())
        .flat_map(|(key, address)| doors(key, address))
        .collect();
    let mut findings = Vec::new();
    findings.extend(closed(firewall, &doors));
    for zone in &firewall.zones {
        findings.extend(doors.iter().flat_map(|door| elsewhere(zone, *door)));
    }
    findings
}

/// What agents send to `udp-source` answers what was sent from there, so it comes in anyway.
fn doors(key: ListenKey, address: SocketAddr) -> Vec<Door> {
    let door = |transport| Door { port: address.port(), transport };
    match key {
        ListenKey::UdpSource => Vec::new(),
        ListenKey::Pcoip => vec![door("tcp"), door("udp")],
        ListenKey::Broker | ListenKey::Http => vec![door("tcp")],
    }
}

/// Clients may come in by any zone in use, so it is told only where none lets them.
fn closed(firewall: &Firewall, doors: &[Door]) -> Option<Finding> {
    let is_closed = |door: &&Door| !firewall.zones.iter().any(|zone| zone.lets_in(**door));
    let closed: Vec<&Door> = doors.iter().filter(is_closed).collect();
    let zone = firewall.zones.first().filter(|_| !closed.is_empty())?;
    let names: Vec<_> = closed.iter().map(|door| door.name()).collect();
    let flags: Vec<_> = names.iter().map(|name| format!("--add-port={name}")).collect();
    Some(Finding::warning(
        "host.firewall-closed",
        format!("firewalld does not let clients in to {}", names.join(", ")),
        format!(
            "`firewall-cmd --zone={} {}`, and again with `--permanent`",
            zone.name,
            flags.join(" ")
        ),
    ))
}

/// Whoever is sent to another port does not come to ours.
fn elsewhere(zone: &Zone, door: Door) -> Vec<Finding> {
    let finding = |what: &str, flag: String| {
        Finding::warning(
            "host.firewall-forward",
            format!("firewalld sends what comes for {} elsewhere: {what}", door.name()),
            format!("`firewall-cmd --zone={} {flag}`, and again with `--permanent`", zone.name),
        )
    };
    let start = format!("port={}:proto={}:", door.port, door.transport);
    let forwards = zone.forwards.iter().filter(|forward| forward.starts_with(&start));
    let forwards =
        forwards.map(|forward| finding(forward, format!("--remove-forward-port={forward}")));
    let word = format!("forward-port port=\"{}\" protocol=\"{}\"", door.port, door.transport);
    let rules = zone.rules.iter().filter(|rule| rule.contains(&word));
    let rules = rules.map(|rule| finding(rule, format!("--remove-rich-rule='{rule}'")));
    forwards.chain(rules).collect()
}

impl Door {
    fn name(self) -> String {
        format!("{}/{}", self.port, self.transport)
    }

    /// The service that firewalld knows by name.
    fn service(self) -> Option<&'static str> {
        match (self.port, self.transport) {
            (80, "tcp") => Some("http"),
            (443, "tcp") => Some("https"),
            _ => None,
        }
    }

    /// Whether it is meant by `443/tcp` or `1000-2000/tcp`.
    fn is_within(self, ports: &str) -> bool {
        let Some((range, transport)) = ports.split_once('/') else { return false };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
        transport == self.transport
            && bounds.is_some_and(|(first, last)| (first..=last).contains(&self.port))
    }
}

impl Zone {
    fn lets_in(&self, door: Door) -> bool {
        let word = format!("port port=\"{}\" protocol=\"{}\"", door.port, door.transport);
        let opens = |rule: &String| {
            let by_service = |name| rule.contains(&format!("service name=\"{name}\""));
            rule.ends_with(" accept")
                && (rule.contains(&word) || door.service().is_some_and(by_service))
        };
        self.target == "ACCEPT"
            || self.ports.iter().any(|ports| door.is_within(ports))
            || door.service().is_some_and(|name| self.services.iter().any(|s| s == name))
            || self.rules.iter().any(opens)
    }
}
