//! The two configuration files as they will be. Keys that nobody answered keep the administrator's
//! value, and so do keys that are not ours.

use std::net::IpAddr;

use cmsg_config::{ConfFile, Paths, socket::Role, values::Pin};

use super::layout;
use crate::{
    host::{Facts, broker::BrokerFact, installed::Installed, ports::Listener},
    wanted::{ConnectionManager, SecurityGateway, Wanted, listen::ListenKey},
};

/// The file of each wanted role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// The Connection Manager's.
    pub(crate) cm: Option<ConfFile>,
    /// The Security Gateway's.
    pub(crate) sg: Option<ConfFile>,
}

impl Configuration {
    /// Writes what is wanted into what is there.
    pub(crate) fn draft(wanted: &Wanted, facts: &Facts) -> Self {
        let paths = wanted.place.paths();
        let start = |role| {
            present(&facts.installed, &paths, role).unwrap_or_else(|| {
                let mut file = ConfFile::default();
                file.comment("Written by pcoip-cmsg-setup, which keeps comments and other keys.");
                file
            })
        };
        let gateway = wanted.security_gateway.as_ref();
        let cm = wanted.connection_manager.as_ref().map(|manager| {
            let mut file = start(Role::Cm);
            connection_manager(&mut file, manager, gateway, facts);
            common(&mut file, Role::Cm, wanted, facts);
            file.set("JwtSigningKey", [layout::signing_key(&paths).display()]);
            file
        });
        let sg = gateway.map(|gateway| {
            let mut file = start(Role::Sg);
            file.set("ExternalRoutableIP", &gateway.external);
            common(&mut file, Role::Sg, wanted, facts);
            let verifying = layout::verifying_certificates(&paths);
            file.set("JwtVerifyingCertificate", [verifying.display()]);
            file
        });
        Self { cm, sg }
    }
}

/// The configuration that a role has, or had when it was last wanted.
pub(crate) fn present(installed: &Installed, paths: &Paths, role: Role) -> Option<ConfFile> {
    let conf = installed.content(&layout::conf(paths, role));
    let content = conf.or_else(|| installed.content(&layout::disabled_conf(paths, role)))?;
    Some(ConfFile::parse(&content.text()))
}

/// What is pinned in a configuration for the broker that is wanted.
pub(crate) fn pins(file: &ConfFile, broker: &str) -> Vec<Pin> {
    if !file.values("PcoipAddress").any(|entry| entry.value == broker) {
        return Vec::new();
    }
    file.values("BrokerCertPin").filter_map(|entry| entry.value.parse().ok()).collect()
}

fn connection_manager(
    file: &mut ConfFile,
    manager: &ConnectionManager,
    gateway: Option<&SecurityGateway>,
    facts: &Facts,
) {
    broker(file, manager, facts);
    if let Some(port) = manager.agent_port {
        file.set("AgentPort", [port]);
    }
    file.set("LicenseServerAddress", &manager.license_servers);
    file.set("SecurityGatewayEnabled", [gateway.is_some()]);
    let external: &[IpAddr] = gateway.map_or(&[], |gateway| &gateway.external);
    file.set("ExternalRoutableIP", external);
    let port = gateway.and(facts.listeners.get(&ListenKey::Pcoip)).and_then(Listener::port);
    file.set("ExternalPort", port);
    file.set("ExternalSecurityGateway", &manager.external_gateways);
    file.set("ExternalSecurityGatewayControl", &manager.controls);
    file.set("ExternalSecurityGatewayPin", &manager.pins);
}

/// A pin belongs to one broker: another broker's goes, and a broker that cannot be verified
/// otherwise gets one.
fn broker(file: &mut ConfFile, manager: &ConnectionManager, facts: &Facts) {
    let address = manager.broker.to_string();
    let mut pins = pins(file, &address);
    if let BrokerFact::Seen(seen) = &facts.broker
        && seen.trouble.is_some()
        && pins.is_empty()
    {
        pins.push(seen.key);
    }
    file.set("PcoipAddress", [address]);
    file.set("BrokerCertPin", pins);
}

fn common(file: &mut ConfFile, role: Role, wanted: &Wanted, facts: &Facts) {
    let paths = wanted.place.paths();
    for key in ListenKey::of(role) {
        if let Some(listener) = facts.listeners.get(&key) {
            let address = listener.address.map_or("off".to_owned(), |a| a.to_string());
            file.set(key.conf_key(), [address]);
        }
    }
    file.set("SslCertificate", [layout::certificate(&paths).display()]);
    file.set("SslKey", [layout::key(&paths).display()]);
    let authority = wanted.ca_cert.as_ref().map(|_| layout::authority(&paths));
    file.set("CaCertificate", authority.iter().map(|path| path.display()));
    let logs = match role {
        Role::Cm => paths.connection_manager_logs(),
        Role::Sg => paths.security_gateway_logs(),
    };
    file.set("DataDirectory", [paths.data().display()]);
    file.set("RunDirectory", [paths.run().display()]);
    file.set("LogDirectory", [logs.display()]);
}
