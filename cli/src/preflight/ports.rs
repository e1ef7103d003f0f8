//! The ports that the roles will listen on.

use std::net::SocketAddr;

use crate::{
    finding::Finding,
    host::{
        Facts,
        ports::Trouble,
        sockets::{Owner, overlap},
    },
    wanted::{Wanted, listen::ListenKey},
};

pub(super) fn check(wanted: &Wanted, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut earlier: Vec<(ListenKey, SocketAddr)> = Vec::new();
    for (key, listener) in &facts.listeners {
        let Some(address) = listener.address else { continue };
        let cure = format!("choose another with `--listen {key}=ADDR:PORT`");
        if let Some(other) =
            earlier.iter().find(|(other, at)| overlap(*at, address) && share(*key, *other))
        {
            let what = format!(
                "`{key}` cannot listen on {address}, because `{}` listens on {}",
                other.0, other.1
            );
            findings.push(Finding::error("port.twice", what, cure.clone()));
        }
        earlier.push((*key, address));
        let troubles = listener.troubles.iter();
        findings.extend(troubles.filter_map(|it| in_the_way(*key, address, it, wanted, facts)));
    }
    findings
}

fn in_the_way(
    key: ListenKey,
    address: SocketAddr,
    trouble: &Trouble,
    wanted: &Wanted,
    facts: &Facts,
) -> Option<Finding> {
    let elsewhere = format!("choose another address with `--listen {key}=ADDR:PORT`");
    Some(match trouble {
        Trouble::Taken { transport, owner: Some(Owner { name, pid }) } => Finding::error(
            "port.taken",
            format!("{address}/{transport}, needed by `{key}`, is in use by `{name}` (pid {pid})"),
            format!("stop that program, or {elsewhere}"),
        ),
        Trouble::Taken { transport, owner: None } => Finding::error(
            "port.taken",
            format!("{address}/{transport}, needed by `{key}`, is in use"),
            format!("find the program as root (`ss -lntup`) and stop it, or {elsewhere}"),
        ),
        // That is told already.
        Trouble::NotPermitted if !facts.is_root && wanted.place.root.is_none() => return None,
        Trouble::NotPermitted => Finding::error(
            "port.not-permitted",
            format!("this user may not listen on {address}, needed by `{key}`"),
            format!(
                "run the command with `sudo`, lower `net.ipv4.ip_unprivileged_port_start`, or \
                 {elsewhere}"
            ),
        ),
        Trouble::Refused(why) => Finding::error(
            "port.refused",
            format!("`{key}` cannot listen on {address}: {why}"),
            elsewhere,
        ),
    })
}

fn share(one: ListenKey, other: ListenKey) -> bool {
    (one.takes_tcp() && other.takes_tcp()) || (one.takes_udp() && other.takes_udp())
}
