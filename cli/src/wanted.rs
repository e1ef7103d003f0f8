//! What the operator asked for, in types that cannot be wrong. All that is wrong with the answers
//! is told at once.

mod docker;
mod external;
mod hints;
mod ignored;
pub(crate) mod later;
pub(crate) mod listen;
mod reader;
pub(crate) mod values;

use std::{net::IpAddr, path::PathBuf};

use cmsg_config::{
    Paths,
    socket::Role,
    values::{self as given, BrokerUrl, ForGateway, GatewayPin, Host, HostPort, Pin, Port},
};
use ipnet::Ipv4Net;

use crate::{
    answers::{Answers, Origin},
    args::settings::Setting,
    finding::Finding,
    installation::Runtime,
};
pub(crate) use docker::{Docker, Registry};
use later::Later;
use listen::ListenAt;
use reader::Reader;
use values::{LicenseServer, Network};

/// Which installation is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    /// What runs the daemon.
    pub(crate) runtime: Runtime,
    /// The folder that everything lies under; none for the machine's own root.
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) place: Location,
    roles: Vec<Role>,
    /// What the Connection Manager needs, where it is wanted.
    pub(crate) connection_manager: Option<ConnectionManager>,
    /// What the Security Gateway needs, where it is wanted.
    pub(crate) security_gateway: Option<SecurityGateway>,
    /// The certificate of both roles.
    pub(crate) certificate: Certificate,
    /// A certificate without its key, or a key without its certificate: it is checked all the same.
    lone: Option<Given>,
    pub(crate) ca_cert: Option<Given>,
    /// The key that signs announcements.
    pub(crate) jwt_signing_key: Option<Given>,
    /// The certificates that verify announcements.
    pub(crate) jwt_verifying_cert: Option<Given>,
    /// Networks where agents may be whatever the broker says.
    pub(crate) allowed_agents: Vec<given::Network>,
    /// By what clients call this host.
    pub(crate) host_addresses: Vec<Host>,
    /// Where to listen, as far as it was said.
    pub(crate) listen: Vec<ListenAt>,
    /// Whether IPv6 connections are taken.
    pub(crate) takes_ipv6: bool,
    /// The network of the services in Docker Swarm.
    pub(crate) network: Option<Ipv4Net>,
    /// Whether little disk space is accepted.
    pub(crate) ignores_disk: bool,
    /// The daemon to install.
    pub(crate) daemon: Option<PathBuf>,
    /// What Docker is to run, and where it comes from.
    pub(crate) docker: Docker,
    /// What has no effect yet.
    pub(crate) later: Later,
}

/// What the Connection Manager needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectionManager {
    pub(crate) broker: BrokerUrl,
    /// Whether its certificate is verified, if that was said.
    pub(crate) broker_check: Option<bool>,
    /// The pins of its certificate or key, if they were given; empty to remove those in use.
    pub(crate) broker_pins: Option<Vec<Pin>>,
    /// Where agents are called, if that was said.
    pub(crate) agent_port: Option<Port>,
    pub(crate) license_servers: Vec<LicenseServer>,
    /// Proxies that are believed what they say of their clients' addresses.
    pub(crate) trusted_proxies: Vec<given::Network>,
    /// Other gateways, in the order in which they are tried.
    pub(crate) external_gateways: Vec<IpAddr>,
    /// Where some of them take announcements.
    pub(crate) controls: Vec<ForGateway<HostPort>>,
    /// What some of them are trusted by.
    pub(crate) pins: Vec<GatewayPin>,
}

/// What the Security Gateway needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecurityGateway {
    /// Its public addresses: one or two, of different families.
    pub(crate) external: Vec<IpAddr>,
}

/// The certificate of both roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Made by the installer.
    SelfSigned,
    Given {
        /// The certificate and its chain.
        certificate: Given,
        key: Given,
    },
}

/// A file of the operator's that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// The setting that names it.
    pub(crate) setting: Setting,
    pub(crate) path: PathBuf,
    /// Whether the last installation named it; then the copy made at that time will do.
    pub(crate) is_kept: bool,
}

impl Location {
    /// Reads which installation is meant.
    ///
    /// # Errors
    ///
    /// What cannot be read.
    pub(crate) fn read(answers: &Answers) -> Result<Self, Vec<Finding>> {
        let mut reader = Reader::new(answers);
        let runtime = reader.one(Setting::Runtime).unwrap_or(Runtime::Swarm);
        let root = reader.path(Setting::Root);
        if root.as_deref().is_some_and(|root| root == "/") {
            let what = "`--root /` is the host itself";
            reader.refuse("usage.value", what, "specify another directory, or omit `--root`");
        }
        let findings = reader.finish();
        if findings.is_empty() { Ok(Self { runtime, root }) } else { Err(findings) }
    }

    /// Whether Docker Swarm runs it.
    pub(crate) fn is_swarm(&self) -> bool {
        self.runtime == Runtime::Swarm
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::under(self.root.clone().unwrap_or_else(|| PathBuf::from("/")))
    }
}

impl Wanted {
    /// Reads what the operator asked for, and tells everything that cannot be read, is missing or
    /// does not go together. Where there is such an error, what is wrong is left out of the value:
    /// it says what to look at on the host, and is not to be planned.
    pub(crate) fn read(answers: &Answers, place: Location) -> (Self, Vec<Finding>) {
        let mut reader = Reader::new(answers);
        let has_manager = reader.switch(Setting::EnableConnectionManager);
        let has_gateway = reader.switch(Setting::EnableSecurityGateway);
        if !has_manager && !has_gateway {
            let what = "neither the Connection Manager nor the Security Gateway is enabled";
            let cure =
                "omit `--enable-connection-manager=false` or `--enable-security-gateway=false`";
            reader.refuse("settings.no-role", what, cure);
        }
        let takes_ipv6 = reader.switch(Setting::EnableIpv6);
        let connection_manager =
            if has_manager { connection_manager(&mut reader, &place) } else { None };
        let security_gateway =
            if has_gateway { security_gateway(&mut reader, &place, takes_ipv6) } else { None };
        let certificate = certificate(&mut reader);
        let host_addresses = host_addresses(&mut reader);
        let listen = listen(&mut reader, takes_ipv6);
        let ignores_disk = reader.switch(Setting::IgnoreDiskReq);
        policies(&mut reader);
        let jwt_verifying_cert = reader.given(Setting::JwtVerifyingCert);
        if has_gateway && !has_manager && jwt_verifying_cert.is_none() {
            reader.missing(Setting::JwtVerifyingCert);
        }
        let manager = has_manager.then_some(Role::Cm);
        let roles: Vec<_> = manager.into_iter().chain(has_gateway.then_some(Role::Sg)).collect();
        let network = reader.one(Setting::DockerNetworkCidr).map(|Network(network)| network);
        let runtime = place.runtime;
        ignored::warn(&mut reader, &roles, runtime, &listen);
        let paths = place.paths();
        let wanted = Self {
            place,
            roles,
            connection_manager,
            security_gateway,
            lone: if certificate.is_none() { lone(&reader) } else { None },
            certificate: certificate.unwrap_or(Certificate::SelfSigned),
            ca_cert: reader.given(Setting::CaCert),
            jwt_signing_key: reader.given(Setting::JwtSigningKey),
            jwt_verifying_cert,
            allowed_agents: reader.many(Setting::AllowedAgents),
            host_addresses,
            listen,
            takes_ipv6,
            network,
            ignores_disk,
            daemon: reader.path(Setting::Daemon),
            docker: Docker::read(&mut reader, runtime),
            later: Later::read(&mut reader, &paths),
        };
        (wanted, reader.finish())
    }

    /// The roles, in the order in which they are told.
    pub(crate) fn roles(&self) -> Vec<Role> {
        self.roles.clone()
    }

    /// The files of the operator's.
    pub(crate) fn given(&self) -> Vec<&Given> {
        let (certificate, key) = match &self.certificate {
            Certificate::SelfSigned => (None, None),
            Certificate::Given { certificate, key } => (Some(certificate), Some(key)),
        };
        let others = [&self.ca_cert, &self.jwt_signing_key, &self.jwt_verifying_cert];
        let others = others.into_iter().flatten().chain(self.later.given());
        let others = others.chain(&self.docker.compose_file).chain(&self.lone);
        certificate.into_iter().chain(key).chain(others).collect()
    }
}

fn connection_manager(reader: &mut Reader<'_>, place: &Location) -> Option<ConnectionManager> {
    let broker = reader.required(Setting::BrokerUrl);
    let broker_check = reader.switch(Setting::BrokerCertCheck);
    let broker_check = reader.is_said(Setting::BrokerCertCheck).then_some(broker_check);
    let pins = reader.many(Setting::BrokerPin);
    let broker_pins = reader.is_said(Setting::BrokerPin).then_some(pins);
    let agent_port = reader.one(Setting::AgentPort);
    let is_said = reader.from(Setting::AgentPort) != Origin::Default;
    let external_gateways = external::addresses(
        reader,
        Setting::ExternalSgIp,
        "settings.external-sg",
        place.root.is_some(),
    );
    let controls = reader.many(Setting::ExternalSgControl);
    let pins = reader.many(Setting::ExternalSgPin);
    external::check_gateways(reader, &external_gateways, &controls, &pins);
    Some(ConnectionManager {
        license_servers: reader.many(Setting::LicenseServerUrl),
        trusted_proxies: reader.many(Setting::TrustedProxies),
        broker: broker?,
        broker_check,
        broker_pins,
        agent_port: agent_port.filter(|_| is_said),
        external_gateways,
        controls,
        pins,
    })
}

fn security_gateway(
    reader: &mut Reader<'_>,
    place: &Location,
    takes_ipv6: bool,
) -> Option<SecurityGateway> {
    const ID: &str = "settings.external-pcoip-ip";
    if reader.is_empty(Setting::ExternalPcoipIp) {
        reader.missing(Setting::ExternalPcoipIp);
        return None;
    }
    let external = external::addresses(reader, Setting::ExternalPcoipIp, ID, place.root.is_some());
    for (is_v6, family) in [(false, "IPv4"), (true, "IPv6")] {
        let count = external.iter().filter(|address| address.is_ipv6() == is_v6).count();
        if count > 1 {
            let what = format!("`--external-pcoip-ip` contains {count} {family} addresses");
            reader.refuse(ID, what, "specify one address per family");
        }
        if is_v6 && count > 0 && !takes_ipv6 {
            let what = "`--external-pcoip-ip` contains an IPv6 address, but IPv6 is not enabled";
            reader.refuse(ID, what, "add `--enable-ipv6`");
        }
    }
    Some(SecurityGateway { external })
}

fn certificate(reader: &mut Reader<'_>) -> Option<Certificate> {
    if reader.switch(Setting::SelfSigned) {
        return Some(Certificate::SelfSigned);
    }
    let settings = [Setting::SslCert, Setting::SslKey, Setting::CaCert];
    if settings.iter().all(|setting| reader.is_empty(*setting)) {
        reader.refuse(
            "settings.missing",
            "no certificate was specified",
            "add `--ssl-cert FILE`, `--ssl-key FILE` and `--ca-cert FILE`, or `--self-signed`",
        );
        return None;
    }
    let [certificate, key, _] = settings.map(|setting| {
        let given = reader.given(setting);
        if given.is_none() {
            reader.missing(setting);
        }
        given
    });
    Some(Certificate::Given { certificate: certificate?, key: key? })
}

/// What is given of a pair of which the other half is missing.
fn lone(reader: &Reader<'_>) -> Option<Given> {
    [Setting::SslCert, Setting::SslKey].into_iter().find_map(|setting| reader.given(setting))
}

fn host_addresses(reader: &mut Reader<'_>) -> Vec<Host> {
    let addresses: Vec<Host> = reader.many(Setting::HostAddress);
    // Certificates have names without the final dot of absolute ones.
    let addresses: Vec<Host> = addresses.iter().map(Host::without_final_dot).collect();
    let ips = addresses.iter().filter(|host| host.as_str().parse::<IpAddr>().is_ok()).count();
    if ips > 1 || addresses.len() - ips > 1 {
        reader.refuse(
            "settings.host-address",
            "`--host-address` contains more than one address or more than one name",
            "specify at most one address and one name",
        );
    }
    addresses
}

fn listen(reader: &mut Reader<'_>, takes_ipv6: bool) -> Vec<ListenAt> {
    const ID: &str = "settings.listen";
    let listen: Vec<ListenAt> = reader.many(Setting::Listen);
    for (index, one) in listen.iter().enumerate() {
        if listen[..index].iter().any(|other| other.key == one.key) {
            let what = format!("`--listen` sets `{}` more than once", one.key);
            reader.refuse(ID, what, "specify it only once");
        }
        if !takes_ipv6 && one.address.is_some_and(|address| address.is_ipv6()) {
            let what = format!(
                "`--listen` sets `{}` to an IPv6 address, but IPv6 is not enabled",
                one.key
            );
            reader.refuse(ID, what, "add `--enable-ipv6`");
        }
    }
    listen
}

fn policies(reader: &mut Reader<'_>) {
    if !reader.switch(Setting::AcceptPolicies) {
        reader.refuse(
            "settings.policies",
            "the policies are not accepted: the license (Apache-2.0) and the privacy statement \
             (nothing is collected or sent)",
            "accept them with `--accept-policies`",
        );
    }
}

#[cfg(test)]
pub(crate) mod tests;
