//! The network that Docker Swarm gives the services: of a private range, and nobody else's.

use ipnet::Ipv4Net;

use crate::{
    finding::Finding,
    host::{
        Facts,
        networks::{PRIVATE, Taken, free, overlap},
    },
    installation::Runtime,
    wanted::Wanted,
};

/// The prefix of the widest network, and of the narrowest that has room for the services.
const WIDEST: u8 = 16;
const NARROWEST: u8 = 28;
const USUAL: u8 = 24;

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    match wanted.network {
        Some(network) if wanted.place.runtime == Runtime::Swarm => judge(network, &facts.networks),
        _ => Vec::new(),
    }
}

fn judge(network: Ipv4Net, taken: &[Taken]) -> Vec<Finding> {
    let prefix = network.prefix_len();
    let is_sized = (WIDEST..=NARROWEST).contains(&prefix);
    let cure = match free(if is_sized { prefix } else { USUAL }, taken) {
        Some(free) => format!("add `--docker-network-cidr {free}`, which is free here"),
        None => "add `--docker-network-cidr` with a smaller network".to_owned(),
    };
    let refuse = |id, what: String| {
        Finding::error(id, format!("`--docker-network-cidr {network}` {what}"), cure.clone())
    };
    let mut findings = Vec::new();
    if !PRIVATE.iter().any(|range| range.contains(&network)) {
        let what = "is not within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16";
        findings.push(refuse("network.not-private", what.to_owned()));
    }
    if !is_sized {
        let what = format!("does not have a prefix length from /{WIDEST} to /{NARROWEST}");
        findings.push(refuse("network.size", what));
    }
    let others: Vec<_> = taken
        .iter()
        .filter(|other| overlap(network, other.network))
        .map(|other| format!("{} ({})", other.network, other.what))
        .collect();
    if !others.is_empty() {
        findings.push(refuse("network.overlap", format!("overlaps {}", others.join(", "))));
    }
    findings
}

#[cfg(test)]
mod tests;
