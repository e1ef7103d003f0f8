//! Where clients find this host.

use std::net::{IpAddr, SocketAddr};

use cmsg_config::values::Host;

use crate::{
    host::{Facts, ports::Listener},
    wanted::{Wanted, listen::ListenKey},
};

const HTTPS: u16 = 443;

/// Whether a port that is chosen for an installation is known: another plan chooses another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// It is only planned.
    Planned,
    Installed,
}

/// The URL that users type into a PCoIP client; none where there is no Connection Manager.
pub(crate) fn url(wanted: &Wanted, facts: &Facts, when: When) -> Option<String> {
    wanted.connection_manager.as_ref()?;
    let (address, is_open) = address(facts, ListenKey::Broker, when)?;
    let host = bracketed(&host(wanted, facts, address));
    Some(match address.port() {
        _ if is_open => format!("https://{host}, on a free port"),
        HTTPS => format!("https://{host}"),
        port => format!("https://{host}:{port}"),
    })
}

/// Where clients connect to the gateway, if there is one: its addresses with the ports.
pub(crate) fn gateway(wanted: &Wanted, facts: &Facts, when: When) -> Option<String> {
    let gateway = wanted.security_gateway.as_ref()?;
    let (address, is_open) = address(facts, ListenKey::Pcoip, when)?;
    let addresses: Vec<_> = gateway.external.iter().map(IpAddr::to_string).collect();
    let addresses = addresses.join(" and ");
    Some(if is_open {
        format!("{addresses}, on a free TCP and UDP port")
    } else {
        format!("{addresses}, TCP and UDP port {}", address.port())
    })
}

/// An address, and whether its port is still to be chosen.
fn address(facts: &Facts, key: ListenKey, when: When) -> Option<(SocketAddr, bool)> {
    let Listener { address, is_any, .. } = facts.listeners.get(&key)?;
    Some(((*address)?, *is_any && when == When::Planned))
}

/// The name of the host, or the only address that it listens on.
fn host(wanted: &Wanted, facts: &Facts, address: SocketAddr) -> String {
    if address.ip().is_loopback() {
        return address.ip().to_string();
    }
    let named = wanted.host_addresses.first().map(Host::to_string);
    let external = || Some(wanted.security_gateway.as_ref()?.external.first()?.to_string());
    let hostname = || facts.hostname.as_ref().map(Host::to_string);
    named.or_else(external).or_else(hostname).unwrap_or_else(|| address.ip().to_string())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}
