//! The two configuration files as they will be. Keys that nobody answered keep the administrator's
//! value, and so do keys that are not ours.

mod draft;
mod later;
mod pins;

use std::{net::IpAddr, path::PathBuf};

use cmsg_config::{ConfFile, socket::Role};

use crate::{
    adopt,
    host::{
        Facts,
        edits::{AUTHORITIES, EXTERNAL_PORT},
        ports::Listener,
    },
    installation::{
        installed::present,
        layout,
        record::{Record, Written},
    },
    wanted::{ConnectionManager, SecurityGateway, Wanted, listen::ListenKey},
};
use draft::Draft;
pub(crate) use pins::{broker_pins, known as known_brokers};

/// The key of the certificate that a role shows.
pub(crate) const CERTIFICATE: &str = "SslCertificate";
/// The key of the folder of a role's own files.
const DATA_DIRECTORY: &str = "DataDirectory";
/// The file of each wanted role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) cm: Option<ConfFile>,
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
            connection_manager(&mut draft, (manager, gateway), wanted, facts);
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

fn connection_manager(
    draft: &mut Draft<'_>,
    (manager, gateway): (&ConnectionManager, Option<&SecurityGateway>),
    wanted: &Wanted,
    facts: &Facts,
) {
    draft.set_all("PcoipAddress", &[manager.broker.to_string()]);
    pins::set(draft, manager, wanted, facts);
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
