//! Checks one of our services in a compose file.

use cmsg_config::socket::Role;
use serde_yaml::Value;

use super::{
    Expected, Lack, Problems, mounts, name_of,
    ports::{self, Protocol},
    scalar, words,
};
use crate::image_name;

/// Keys that `docker stack deploy` ignores, most of them silently.
const IGNORED: &[&str] = &[
    "build",
    "cgroup_parent",
    "cgroupns_mode",
    "container_name",
    "depends_on",
    "devices",
    "domainname",
    "external_links",
    "ipc",
    "links",
    "mac_address",
    "network_mode",
    "pid",
    "privileged",
    "restart",
    "security_opt",
    "shm_size",
    "userns_mode",
];

/// A service with its file and the expected values.
pub(super) struct Asked<'a> {
    pub(super) role: Role,
    pub(super) service: &'a Value,
    pub(super) file: &'a Value,
    pub(super) expected: &'a Expected<'a>,
}

pub(super) fn check(asked: &Asked<'_>, found: &mut Problems) {
    let rules = [image, command, user, capabilities, healthcheck, replicas, update, authorities];
    let single = rules.into_iter().filter_map(|rule| rule(asked));
    let lacks = single.chain(network(asked)).chain(folders(asked)).chain(ignored(asked));
    lacks.for_each(|lack| found.service(name_of(asked.role), lack));
}

fn image(asked: &Asked<'_>) -> Option<Lack> {
    let image = asked.service.get("image").and_then(scalar).filter(|image| !image.is_empty());
    let Some(image) = image else { return Some(Lack::NoImage) };
    let untagged = image.split('@').next().unwrap_or(&image);
    let last = untagged.rsplit('/').next().unwrap_or(untagged);
    let name = last.split(':').next().unwrap_or(last);
    let other = if asked.role == Role::Cm { Role::Sg } else { Role::Cm };
    match name {
        name if name == image_name(asked.role) => None,
        name if name == image_name(other) => Some(Lack::OtherRolesImage(image)),
        _ => Some(Lack::ForeignImage(crate::words::plain(&image, 100))),
    }
}

/// The entry point of the image only sets the role, not the configuration.
fn command(asked: &Asked<'_>) -> Option<Lack> {
    let conf = match asked.role {
        Role::Cm => asked.expected.paths.connection_manager_conf(),
        Role::Sg => asked.expected.paths.security_gateway_conf(),
    };
    let said = match asked.service.get("command") {
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        list => words(list),
    };
    let wanted = format!("{} --config {}", asked.role.command(), conf.display());
    let is_it = said.join(" ").replace("--config=", "--config ") == wanted;
    (!is_it).then_some(Lack::OtherCommand(wanted))
}

fn user(asked: &Asked<'_>) -> Option<Lack> {
    let (user, group) = asked.expected.account?;
    let said = user_of(asked.service)?;
    (said != format!("{user}:{group}")).then(|| Lack::OtherUser(crate::words::plain(&said, 40)))
}

/// The user of a service, if it is defined.
pub(super) fn user_of(service: &Value) -> Option<String> {
    service.get("user").and_then(scalar).filter(|text| !text.is_empty())
}

fn capabilities(asked: &Asked<'_>) -> Option<Lack> {
    let has = |key, wanted: &[&str]| {
        let plain = |word: &String| word.to_uppercase().trim_start_matches("CAP_").to_owned();
        words(asked.service.get(key)).iter().map(plain).any(|word| wanted.contains(&word.as_str()))
    };
    let drops = has("cap_drop", &["ALL", "NET_BIND_SERVICE"]);
    (drops && !has("cap_add", &["ALL", "NET_BIND_SERVICE"])).then_some(Lack::NoCapability)
}

/// Our images contain neither a shell nor `curl`.
fn healthcheck(asked: &Asked<'_>) -> Option<Lack> {
    let test = asked.service.get("healthcheck")?.get("test")?;
    let is_shell = test.is_string() || words(Some(test)).first().is_some_and(|w| w == "CMD-SHELL");
    is_shell.then_some(Lack::ShellHealthcheck)
}

fn replicas(asked: &Asked<'_>) -> Option<Lack> {
    let replicas = asked.service.get("deploy")?.get("replicas")?;
    let count = scalar(replicas)?;
    (count != "1").then(|| Lack::Replicas(crate::words::plain(&count, 20)))
}

fn update(asked: &Asked<'_>) -> Option<Lack> {
    let order = asked.service.get("deploy")?.get("update_config")?.get("order")?;
    (scalar(order)? == "start-first").then_some(Lack::StartFirst)
}

fn authorities(asked: &Asked<'_>) -> Option<Lack> {
    const VARIABLE: &str = "SSL_CERT_FILE";
    let names = words(asked.service.get("environment"));
    let has = |name: &String| name.split('=').next() == Some(VARIABLE);
    (!names.iter().any(has)).then_some(Lack::NoAuthorities)
}

fn network(asked: &Asked<'_>) -> Vec<Lack> {
    if ports::is_in_host_network(asked.service, asked.file) {
        return Vec::new();
    }
    let ports: &[_] = match asked.role {
        Role::Cm => &[(443, Protocol::Tcp)],
        Role::Sg => &[(4172, Protocol::Tcp), (4172, Protocol::Udp)],
    };
    let published = asked.service.get("ports");
    ports.iter().filter_map(|(port, carried)| ports::lack(published, *port, *carried)).collect()
}

fn folders(asked: &Asked<'_>) -> Vec<Lack> {
    let paths = asked.expected.paths;
    let logs = match asked.role {
        Role::Cm => paths.connection_manager_logs(),
        Role::Sg => paths.security_gateway_logs(),
    };
    let volumes = asked.service.get("volumes");
    [(paths.certs(), false), (paths.data(), false), (paths.run(), true), (logs, true)]
        .iter()
        .filter_map(|(folder, has_to_write)| mounts::lack(volumes, folder, *has_to_write))
        .collect()
}

fn ignored(asked: &Asked<'_>) -> Vec<Lack> {
    let has = |key: &&&str| asked.service.get(**key).is_some();
    IGNORED.iter().filter(has).map(|key| Lack::Ignored((*key).to_owned())).collect()
}
