//! The ports that clients connect to.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{host::ports::Listener, wanted::listen::ListenKey};

/// A port that clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpenPort {
    pub(crate) port: u16,
    pub(crate) transport: &'static str,
}

impl OpenPort {
    /// All ports of these listeners; nobody comes to loopback from outside.
    pub(crate) fn all(listeners: &BTreeMap<ListenKey, Listener>) -> Vec<Self> {
        listeners
            .iter()
            .filter_map(|(key, listener)| Some((*key, listener.address?)))
            .filter(|(_, address)| !address.ip().is_loopback())
            .flat_map(|(key, address)| Self::of(key, address))
            .collect()
    }

    /// What agents send to `udp-source` answers what was sent from there, so it comes in anyway.
    fn of(key: ListenKey, address: SocketAddr) -> Vec<Self> {
        let port = |transport| Self { port: address.port(), transport };
        match key {
            ListenKey::UdpSource => Vec::new(),
            ListenKey::Pcoip => vec![port("tcp"), port("udp")],
            ListenKey::Broker | ListenKey::Http => vec![port("tcp")],
        }
    }

    /// As firewalld names it: `443/tcp`.
    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.port, self.transport)
    }

    /// The service that firewalld knows by name.
    pub(crate) fn service(self) -> Option<&'static str> {
        match (self.port, self.transport) {
            (80, "tcp") => Some("http"),
            (443, "tcp") => Some("https"),
            _ => None,
        }
    }

    /// Whether it is meant by `443/tcp` or `1000-2000/tcp`.
    pub(crate) fn is_within(self, ports: &str) -> bool {
        let Some((range, transport)) = ports.split_once('/') else { return false };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
        transport == self.transport
            && bounds.is_some_and(|(first, last)| (first..=last).contains(&self.port))
    }
}
