//! The ports that the roles will listen on.

use std::net::SocketAddr;

use crate::{
    finding::Finding,
    host::{
        Facts,
        ports::{Trouble, overlap},
    },
    wanted::listen::ListenKey,
};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut earlier: Vec<(ListenKey, SocketAddr)> = Vec::new();
    for (key, listener) in &facts.listeners {
        let Some(address) = listener.address else { continue };
        let cure = format!("choose another with `--listen {key}=ADDR:PORT`");
        if let Some(other) =
            earlier.iter().find(|(other, at)| overlap(*at, address) && share(*key, *other))
        {
            let what =
                format!("`{key}` cannot listen on {address} beside `{}` on {}", other.0, other.1);
            findings.push(Finding::error("port.twice", what, cure.clone()));
        }
        earlier.push((*key, address));
        findings.extend(listener.trouble.as_ref().map(|trouble| match trouble {
            Trouble::Taken(transport) => Finding::error(
                "port.taken",
                format!("{address}/{transport}, where `{key}` is to listen, is taken"),
                cure,
            ),
            Trouble::Refused(why) => Finding::error(
                "port.refused",
                format!("`{key}` cannot listen on {address}: {why}"),
                cure,
            ),
        }));
    }
    findings
}

fn share(one: ListenKey, other: ListenKey) -> bool {
    (one.takes_tcp() && other.takes_tcp()) || (one.takes_udp() && other.takes_udp())
}
