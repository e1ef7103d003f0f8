//! What the documented product says of itself, as answers. What is not understood is told by its
//! name, never by its value, which may be a password.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
};

use cmsg_config::{ConfFile, Paths, socket::Role};
use cmsg_engine::ServiceFact;
use serde_json::Value;

use super::{Vendor, certificates, names};
use crate::{
    answers::{Answers, Origin},
    args::settings::{Kind, Layer, Setting},
    finding::Finding,
    installation::layout,
    wanted::{Location, Wanted},
};

/// Reads them, with what is to be told.
pub(super) fn read(vendor: &Vendor, paths: &Paths) -> (Layer, Vec<Finding>) {
    let mut reading = Reading::default();
    let roles = reading.roles(vendor);
    // What is said first holds: what an administrator edits, then what the services are given.
    for (role, path, content) in &vendor.confs {
        match content.decode() {
            Ok(text) => reading.configuration(*role, path, &text, (vendor, paths)),
            Err(why) => reading.findings.push(Finding::error(
                "adopt.unreadable",
                format!("`{}`: {why}", path.display()),
                why.fix(path),
            )),
        }
    }
    for service in &vendor.services {
        reading.service(service, vendor);
    }
    reading.listeners(vendor);
    reading.network(vendor);
    let said: BTreeMap<_, _> = reading
        .layer
        .iter()
        .filter(|(setting, _)| setting.kind() == Kind::Path)
        .filter_map(|(setting, texts)| Some((*setting, PathBuf::from(texts.first()?))))
        .collect();
    let (found, told) = certificates::find(&said, &vendor.files, &roles);
    for (setting, path) in found {
        reading.layer.insert(setting, vec![path.display().to_string()]);
    }
    reading.findings.extend(told);
    let is_v6 = |text: &String| text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6());
    if reading.layer.get(&Setting::ExternalPcoipIp).is_some_and(|all| all.iter().any(is_v6)) {
        reading.layer.entry(Setting::EnableIpv6).or_insert_with(|| vec!["true".to_owned()]);
    }
    (reading.layer, reading.findings)
}

/// The ports that its services publish: the port in the container, and that of the host.
pub(super) fn published(vendor: &Vendor) -> impl Iterator<Item = (u16, u16)> {
    let ports = |service: &Value| {
        let ports = service["Spec"]["EndpointSpec"]["Ports"].as_array().cloned();
        ports.unwrap_or_default()
    };
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let all = vendor.others.services.iter().flat_map(ports);
    all.filter_map(move |it| Some((port(&it["TargetPort"])?, port(&it["PublishedPort"])?)))
}

#[derive(Default)]
struct Reading {
    layer: Layer,
    findings: Vec<Finding>,
}

impl Reading {
    /// The roles that run; the others are switched off.
    fn roles(&mut self, vendor: &Vendor) -> Vec<Role> {
        let mut roles = Vec::new();
        for service in &vendor.services {
            match role(service) {
                Some(role) if service.desired > 0 || service.running > 0 => roles.push(role),
                Some(_) => {}
                None => self.findings.push(Finding::warning(
                    "adopt.service",
                    format!(
                        "`{}` runs `{}`, which is neither a Connection Manager nor a Security Gateway: it is removed without a replacement",
                        service.name, service.image
                    ),
                    "if it is still needed, move it to another stack first",
                )),
            }
        }
        if roles.is_empty() {
            self.findings.push(Finding::error(
                "adopt.nothing",
                "the stack `pcoipcm` contains neither a Connection Manager nor a Security Gateway",
                "omit `--adopt` and remove the stack: `docker stack rm pcoipcm`",
            ));
        }
        for (role, setting) in [
            (Role::Cm, Setting::EnableConnectionManager),
            (Role::Sg, Setting::EnableSecurityGateway),
        ] {
            if !roles.contains(&role) {
                self.layer.insert(setting, vec!["false".to_owned()]);
            }
        }
        roles
    }

    fn configuration(
        &mut self,
        role: Role,
        path: &Path,
        text: &str,
        (vendor, paths): (&Vendor, &Paths),
    ) {
        let file = ConfFile::parse(text);
        let at = format!("`{}`", path.display());
        let mut said: BTreeMap<Setting, Vec<String>> = BTreeMap::new();
        let mut left = Vec::new();
        for entry in file.entries() {
            let Some(setting) = names::of_key(entry.key) else {
                left.push(format!("`{}` (line {})", entry.key, entry.line));
                continue;
            };
            let values = names::values(setting, entry.value);
            let values = values.into_iter().map(|it| on_host(setting, it, role, vendor));
            said.entry(setting).or_default().extend(values);
        }
        for (setting, values) in said {
            self.take(setting, values, &at);
        }
        // One at the documented place goes on, with these keys in it.
        if path != layout::conf(paths, role) && !left.is_empty() {
            self.findings.push(Finding::warning(
                "adopt.not-understood",
                format!("these keys in {at} are not taken over: {}", left.join(", ")),
                format!(
                    "if they matter, add them to `{}` afterwards",
                    layout::conf(paths, role).display()
                ),
            ));
        }
    }

    /// What a service is given: its environment, and arguments that are written like flags.
    fn service(&mut self, service: &ServiceFact, vendor: &Vendor) {
        let Some(role) = role(service) else { return };
        let at = format!("the service `{}`", service.name);
        let arguments = arguments(&service.name, vendor);
        let mut left = Vec::new();
        for (name, value) in service.environment.iter().chain(&arguments) {
            match names::of_variable(name) {
                Some(setting) => {
                    let values = names::values(setting, value);
                    let values = values.into_iter().map(|it| on_host(setting, it, role, vendor));
                    self.take(setting, values.collect(), &at);
                }
                None => left.push(format!("`{name}`")),
            }
        }
        if !left.is_empty() {
            self.findings.push(Finding::warning(
                "adopt.not-understood",
                format!("these parameters in {at} are not taken over: {}", left.join(", ")),
                "if they matter, use the equivalent flags",
            ));
        }
    }

    /// Takes what a source says of a setting, unless another one has said it.
    fn take(&mut self, setting: Setting, values: Vec<String>, at: &str) {
        let (good, bad): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|value| is_readable(setting, value));
        if !bad.is_empty() {
            let shown = if setting.kind() == Kind::Secret { String::new() } else { bad.join(", ") };
            self.findings.push(Finding::warning(
                "adopt.not-understood",
                format!("the value for `--{setting}` in {at} cannot be parsed: {shown}"),
                format!("set it with `{}`", setting.usage()),
            ));
        }
        if good.is_empty() {
            return;
        }
        match self.layer.get(&setting) {
            Some(before) if *before != good => self.findings.push(Finding::warning(
                "adopt.disagrees",
                format!("{at} contradicts an earlier value of `--{setting}`"),
                format!(
                    "check the value in the plan, and set the right one with `{}`",
                    setting.usage()
                ),
            )),
            Some(_) => {}
            None => {
                self.layer.insert(setting, good);
            }
        }
    }

    /// Where clients reach its services, if not at the documented ports. Those that it takes behind
    /// the firewall's forwards count as documented.
    fn listeners(&mut self, vendor: &Vendor) {
        const PORTS: [(&[u16], &str, &[u16]); 4] = [
            (&[443, 8443], "broker", &[443, 8443]),
            (&[80, 8080], "http", &[80, 8080]),
            (&[4172], "pcoip", &[4172]),
            (&[55000], "udp-source", &[55000]),
        ];
        let mut listen: Vec<String> = Vec::new();
        for (inside, outside) in published(vendor) {
            let known = PORTS.iter().find(|(targets, ..)| targets.contains(&inside));
            let Some((_, key, documented)) = known else {
                self.findings.push(Finding::warning(
                    "adopt.not-understood",
                    format!(
                        "its services publish port {inside} as {outside}: nothing will listen there afterwards"
                    ),
                    "nothing to do, unless clients use that port",
                ));
                continue;
            };
            let said = format!("{key}=0.0.0.0:{outside}");
            if !documented.contains(&outside) && !listen.contains(&said) {
                listen.push(said);
            }
        }
        if !listen.is_empty() {
            self.layer.insert(Setting::Listen, listen);
        }
    }

    /// The range of its network, which an administrator has chosen where there is but one.
    fn network(&mut self, vendor: &Vendor) {
        let own = vendor.others.own_networks();
        let [name] = &own[..] else { return };
        let network = vendor.others.networks.iter().find(|network| network["Name"] == **name);
        let range = network.and_then(|network| network["IPAM"]["Config"][0]["Subnet"].as_str());
        let setting = Setting::DockerNetworkCidr;
        if let Some(range) = range.filter(|range| is_readable(setting, range)) {
            self.layer.insert(setting, vec![range.to_owned()]);
        }
    }
}

/// What a service runs, by its image, else by its name.
fn role(service: &ServiceFact) -> Option<Role> {
    let image = service.image.split('@').next().unwrap_or_default();
    let image = image.rsplit('/').next().unwrap_or_default();
    let image = image.split(':').next().unwrap_or_default();
    match (image, service.name.as_str()) {
        ("pcoip-cm", _) | (_, "pcoipcm_cm") => Some(Role::Cm),
        ("sg", _) | (_, "pcoipcm_sg") => Some(Role::Sg),
        _ => None,
    }
}

/// `--name=value` among a service's arguments.
fn arguments(service: &str, vendor: &Vendor) -> BTreeMap<String, String> {
    let spec = vendor.others.services.iter().find(|it| it["Spec"]["Name"] == *service);
    let container = spec.map(|it| &it["Spec"]["TaskTemplate"]["ContainerSpec"]);
    let words = container.and_then(|it| it["Args"].as_array()).into_iter().flatten();
    let flag = |word: &Value| {
        let (name, value) = word.as_str()?.strip_prefix("--")?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    };
    words.filter_map(flag).collect()
}

/// A file's path on the host, where a container has it under another one.
fn on_host(setting: Setting, value: String, whose: Role, vendor: &Vendor) -> String {
    if setting.kind() != Kind::Path {
        return value;
    }
    let services = vendor.services.iter().filter(|service| role(service) == Some(whose));
    let mounts = services.flat_map(|service| &service.mounts);
    let inside = mounts.filter_map(|mount| {
        let rest = Path::new(&value).strip_prefix(&mount.target).ok()?;
        Some((mount.target.components().count(), mount.source.join(rest)))
    });
    // A mount of a single file has nothing behind it.
    let outside = inside.max_by_key(|(depth, _)| *depth).map(|(_, path)| path);
    let plain = |path: PathBuf| path.components().collect::<PathBuf>().display().to_string();
    outside.map_or(value, plain)
}

/// Whether a value can be one of the setting.
fn is_readable(setting: Setting, value: &str) -> bool {
    let layer = Layer::from([(setting, vec![value.to_owned()])]);
    let answers = Answers::resolve(&[(Origin::Adopted, &layer)]);
    let place = Location { runtime: crate::installation::Runtime::Swarm, root: None };
    !Wanted::read(&answers, place).1.iter().any(Finding::is_usage)
}
