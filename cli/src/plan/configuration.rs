//! The two configuration files as they will be. Keys that nobody answered keep the administrator's
//! value, and so do keys that are not ours.

mod draft;
mod later;

use std::{net::IpAddr, path::PathBuf};

use cmsg_config::{ConfFile, Paths, socket::Role, values::Pin};

use crate::{
    adopt,
    host::{
        Facts,
        broker::BrokerFact,
        edits::{AUTHORITIES, EXTERNAL_PORT},
        ports::Listener,
    },
    installation::{
        installed::{is_unverified, present},
        layout,
        record::{Record, Written},
    },
    wanted::{ConnectionManager, SecurityGateway, Wanted, listen::ListenKey},
};
use draft::Draft;

/// The key of the certificate that a role shows.
pub(crate) const CERTIFICATE: &str = "SslCertificate";
/// The key of the folder of a role's own files.
const DATA_DIRECTORY: &str = "DataDirectory";
/// The file of each wanted role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// The Connection Manager's.
    pub(crate) cm: Option<ConfFile>,
    /// The Security Gateway's.
    pub(crate) sg: Option<ConfFile>,
    /// What the installer writes into them, and wrote into the file of a role that is not wanted.
    pub(crate) written: Written,
}

impl Configuration {
    /// Writes what is wanted into what is there.
    pub(crate) fn draft(wanted: &Wanted, facts: &Facts) -> Self {
        let paths = wanted.place.paths();
        let before = Record::of(facts.base(), &paths).written;
        let mut written = before.clone();
        let start = |role| {
            let file = present(facts.base(), &paths, role).unwrap_or_else(|| {
                let mut file = ConfFile::default();
                file.comment("Written by pcoip-cmsg-setup, which keeps comments and other keys.");
                file
            });
            let edits = facts.edits.iter().filter(|edit| edit.role == role).collect();
            Draft::new(adopt::configuration(file, facts), before.of(role), edits)
        };
        let mut end = |role, draft: Draft<'_>| {
            let (file, values) = draft.finish();
            written.set(role, values);
            file
        };
        let gateway = wanted.security_gateway.as_ref();
        let cm = wanted.connection_manager.as_ref().map(|manager| {
            let mut draft = start(Role::Cm);
            connection_manager(&mut draft, (manager, gateway), facts, &paths);
            match wanted.host_addresses.as_slice() {
                [] => draft.take_back("HostAddress"),
                hosts => draft.set_all("HostAddress", hosts),
            }
            later::connection_manager(&mut draft, &wanted.later, &paths);
            common(&mut draft, Role::Cm, wanted, facts);
            draft.set_all("JwtSigningKey", &[layout::signing_key(&paths).display()]);
            end(Role::Cm, draft)
        });
        let sg = gateway.map(|gateway| {
            let mut draft = start(Role::Sg);
            draft.set_all("ExternalRoutableIP", &gateway.external);
            later::security_gateway(&mut draft, &wanted.later);
            common(&mut draft, Role::Sg, wanted, facts);
            if wanted.connection_manager.is_some() {
                draft.take_back(ListenKey::Broker.conf_key(Role::Sg));
            }
            let verifying = layout::verifying_certificates(&paths);
            draft.set_all("JwtVerifyingCertificate", &[verifying.display()]);
            end(Role::Sg, draft)
        });
        Self { cm, sg, written }
    }
}

impl Configuration {
    /// The file of a role.
    pub(crate) fn of(&self, role: Role) -> Option<&ConfFile> {
        match role {
            Role::Cm => self.cm.as_ref(),
            Role::Sg => self.sg.as_ref(),
        }
    }
}

/// The files with certificates that a configuration names.
pub(crate) fn certificate_files(file: &ConfFile) -> Vec<PathBuf> {
    let keys = [CERTIFICATE, AUTHORITIES, "JwtVerifyingCertificate"];
    keys.iter().flat_map(|key| file.values(key)).map(|entry| entry.value.into()).collect()
}

/// What is pinned in a configuration for the broker that is wanted.
pub(crate) fn pins(file: &ConfFile, broker: &str) -> Vec<Pin> {
    if !file.values("PcoipAddress").any(|entry| entry.value == broker) {
        return Vec::new();
    }
    file.values("BrokerCertPin").filter_map(|entry| entry.value.parse().ok()).collect()
}

/// The pins that hold for the broker after this change, and whether the last one is new and was not
/// given: the key of a broker that is met for the first time and cannot be verified.
pub(crate) fn broker_pins(
    manager: &ConnectionManager,
    facts: &Facts,
    paths: &Paths,
) -> (Vec<Pin>, bool) {
    if let Some(given) = &manager.broker_pins {
        return (given.clone(), false);
    }
    let conf = present(facts.base(), paths, Role::Cm);
    let address = manager.broker.to_string();
    let pins = conf.as_ref().map_or_else(Vec::new, |conf| pins(conf, &address));
    let is_met = |conf: &ConfFile| {
        !is_unverified(conf) && conf.values("PcoipAddress").any(|entry| entry.value == address)
    };
    match &facts.broker {
        BrokerFact::Seen(seen)
            if seen.trouble.is_some()
                && pins.is_empty()
                && (facts.adopted.is_some() || !conf.as_ref().is_some_and(is_met)) =>
        {
            (vec![seen.key], true)
        }
        _ => (pins, false),
    }
}

fn connection_manager(
    draft: &mut Draft<'_>,
    (manager, gateway): (&ConnectionManager, Option<&SecurityGateway>),
    facts: &Facts,
    paths: &Paths,
) {
    broker(draft, manager, facts, paths);
    match manager.broker_check {
        Some(is_on) => draft.set_all("BrokerCertCheck", &[is_on]),
        None => draft.take_back("BrokerCertCheck"),
    }
    match manager.agent_port {
        Some(port) => draft.set_all("AgentPort", &[port]),
        None => draft.take_back("AgentPort"),
    }
    match manager.trusted_proxies.as_slice() {
        [] => draft.take_back("TrustedProxies"),
        networks => draft.set_all("TrustedProxies", networks),
    }
    draft.set_all("LicenseServerAddress", &manager.license_servers);
    draft.set_all("SecurityGatewayEnabled", &[gateway.is_some()]);
    let external: &[IpAddr] = gateway.map_or(&[], |gateway| &gateway.external);
    draft.set_all("ExternalRoutableIP", external);
    let port = gateway.and(facts.listeners.get(&ListenKey::Pcoip)).and_then(Listener::port);
    draft.set_unless_edited(EXTERNAL_PORT, port.as_ref());
    draft.set_all("ExternalSecurityGateway", &manager.external_gateways);
    draft.set_all("ExternalSecurityGatewayControl", &manager.controls);
    draft.set_all("ExternalSecurityGatewayPin", &manager.pins);
}

/// A pin belongs to one broker: another broker's is removed.
fn broker(draft: &mut Draft<'_>, manager: &ConnectionManager, facts: &Facts, paths: &Paths) {
    let (pins, _) = broker_pins(manager, facts, paths);
    draft.set_all("PcoipAddress", &[manager.broker.to_string()]);
    draft.file.set("BrokerCertPin", pins);
}

fn common(draft: &mut Draft<'_>, role: Role, wanted: &Wanted, facts: &Facts) {
    let paths = wanted.place.paths();
    match wanted.allowed_agents.as_slice() {
        [] => draft.take_back("AllowedAgents"),
        networks => draft.set_all("AllowedAgents", networks),
    }
    let all = ListenKey::of(&wanted.roles()).into_iter();
    for (_, key) in all.filter(|(listens, _)| *listens == role) {
        if let Some(listener) = facts.listeners.get(&key) {
            let address = listener.address.map_or("off".to_owned(), |a| a.to_string());
            if wanted.listen.iter().any(|said| said.key == key) {
                draft.set_all(key.conf_key(role), &[address]);
            } else {
                draft.set(key.conf_key(role), &address);
            }
        }
    }
    draft.propose(CERTIFICATE, &layout::certificate(&paths));
    draft.propose("SslKey", &layout::key(&paths));
    let authority = layout::authority(&paths);
    draft.propose_among(AUTHORITIES, &authority, wanted.ca_cert.is_some());
    let logs = match role {
        Role::Cm => paths.connection_manager_logs(),
        Role::Sg => paths.security_gateway_logs(),
    };
    draft.propose_instead(DATA_DIRECTORY, &paths.data(), &paths.state());
    draft.set_all("RunDirectory", &[paths.run().display()]);
    draft.propose("LogDirectory", &logs);
}

#[cfg(test)]
mod tests;
