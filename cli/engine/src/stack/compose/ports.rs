//! How clients connect to a service of a compose file.

use std::fmt;

use serde_yaml::Value;

use super::{Lack, scalar, words};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Whether a service uses the host's network.
pub(super) fn is_in_host_network(service: &Value, file: &Value) -> bool {
    words(service.get("networks")).iter().any(|key| {
        let Some(network) = file.get("networks").and_then(|networks| networks.get(key)) else {
            return false;
        };
        let external = network.get("external");
        let former = external.and_then(|external| external.get("name")).and_then(scalar);
        let name = network.get("name").and_then(scalar).or(former);
        let is_external = external.is_some_and(|e| e.is_mapping() || e.as_bool() == Some(true));
        is_external && name.as_deref().unwrap_or(key) == "host"
    })
}

/// What is missing for clients to reach this port.
pub(super) fn lack(ports: Option<&Value>, port: u16, protocol: Protocol) -> Option<Lack> {
    let ports = ports.and_then(Value::as_sequence).into_iter().flatten();
    let modes: Vec<_> = ports.filter_map(|entry| mode(entry, port, protocol)).collect();
    match modes.as_slice() {
        [] => Some(Lack::NotPublished(port, protocol)),
        modes if modes.contains(&true) => None,
        _ => Some(Lack::ThroughIngress(port, protocol)),
    }
}

/// Whether an entry publishes the port on the host itself; `None` if it is for another port.
fn mode(entry: &Value, port: u16, protocol: Protocol) -> Option<bool> {
    if !entry.is_mapping() {
        let short = scalar(entry)?;
        let (numbers, carried) = short.split_once('/').unwrap_or((&short, "tcp"));
        let mut numbers = numbers.rsplit(':');
        let (target, published) = (numbers.next()?, numbers.next()?);
        let fits =
            carried == protocol.to_string() && covers(target, port) && covers(published, port);
        return fits.then_some(false);
    }
    let text = |key| entry.get(key).and_then(scalar);
    let carried = text("protocol").unwrap_or_else(|| "tcp".to_owned());
    let is_it = |key| text(key).is_some_and(|number| number == port.to_string());
    let fits = carried == protocol.to_string() && is_it("target") && is_it("published");
    fits.then(|| text("mode").as_deref() == Some("host"))
}

fn covers(range: &str, port: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse()) {
        (Ok(first), Ok(last)) => (first..=last).contains(&port),
        _ => false,
    }
}
