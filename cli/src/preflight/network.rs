//! The network that Docker Swarm gives the services: of a private range, and nobody else's.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::{
    finding::Finding,
    host::{Facts, networks::Taken},
    runtime::Runtime,
    wanted::Wanted,
};

/// The documented ranges.
const PRIVATE: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
];
/// The same, in the order in which a free network is looked for: near the default first, and last
/// where homes and offices have theirs.
const PROPOSED: [Ipv4Net; 5] = [
    Ipv4Net::new_assert(Ipv4Addr::new(10, 101, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 128, 0, 0), 9),
    PRIVATE[1],
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 9),
    PRIVATE[2],
];
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
        let what = format!("is not of a size from /{WIDEST} to /{NARROWEST}");
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

/// The first network of that size that is nobody's.
pub(crate) fn free(prefix: u8, taken: &[Taken]) -> Option<Ipv4Net> {
    PROPOSED.iter().find_map(|range| free_within(*range, prefix, taken))
}

/// Goes from one network in the way to the address behind it.
fn free_within(range: Ipv4Net, prefix: u8, taken: &[Taken]) -> Option<Ipv4Net> {
    let mut start = range.network();
    loop {
        let candidate = Ipv4Net::new(start, prefix).ok()?;
        if !range.contains(&candidate) {
            return None;
        }
        let Some(other) = taken.iter().find(|other| overlap(candidate, other.network)) else {
            return Some(candidate);
        };
        // One of two networks that overlap holds the other, so behind both a network can begin.
        let last = candidate.broadcast().max(other.network.broadcast());
        start = u32::from(last).checked_add(1)?.into();
    }
}

fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

#[cfg(test)]
mod tests;
