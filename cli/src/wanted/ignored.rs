//! What was given and changes nothing, since the role that it is for is disabled.

use cmsg_config::socket::Role;

use super::{
    listen::{ListenAt, ListenKey},
    reader::Reader,
};
use crate::{answers::Origin, installation::Runtime};

/// Settings of the Connection Manager alone.
const MANAGER: [&str; 10] = [
    "broker-url",
    "broker-cert-check",
    "broker-pin",
    "external-sg-ip",
    "external-sg-control",
    "external-sg-pin",
    "license-server-url",
    "trusted-proxies",
    "agent-port",
    "jwt-signing-key",
];
/// Settings of the Security Gateway alone.
const GATEWAY: [&str; 1] = ["external-pcoip-ip"];

/// Settings of Docker Swarm alone.
const DOCKER: [&str; 5] = [
    "docker-network-cidr",
    "compose-file",
    "docker-registry",
    "docker-username",
    "docker-password",
];

/// Warns of it. What the last installation saved may wait until its role is enabled again.
pub(super) fn warn(reader: &mut Reader<'_>, roles: &[Role], runtime: Runtime, listen: &[ListenAt]) {
    // That is refused.
    if roles.is_empty() {
        return;
    }
    let disabled = [
        (Role::Cm, "the connection manager is disabled", &MANAGER[..]),
        (Role::Sg, "the security gateway is disabled", &GATEWAY[..]),
    ];
    for (role, why, names) in disabled {
        if !roles.contains(&role) {
            names.iter().for_each(|name| warn_of(reader, name, why));
        }
    }
    if roles.contains(&Role::Cm) && !reader.switch("broker-cert-check") {
        warn_of(reader, "broker-pin", "the broker's certificate is not verified");
    }
    if runtime == Runtime::Host {
        for name in DOCKER {
            warn_of(reader, name, "the runtime is not Docker Swarm");
        }
    } else if reader.is_empty("docker-registry") {
        warn_of(reader, "docker-username", "there is no `--docker-registry`");
    }
    if is_given(reader, "listen") {
        let used = ListenKey::of(roles);
        for one in listen.iter().filter(|one| !used.iter().any(|(_, key)| *key == one.key)) {
            let what = format!("`--listen` gives `{}`, where no enabled role listens", one.key);
            reader.warn("settings.ignored", what, "leave it out, or enable its role");
        }
    }
}

fn warn_of(reader: &mut Reader<'_>, name: &'static str, why: &str) {
    if is_given(reader, name) {
        let what = format!("`--{name}` is ignored, since {why}");
        reader.warn("settings.ignored", what, "leave it out, or enable what it is for");
    }
}

fn is_given(reader: &Reader<'_>, name: &str) -> bool {
    !reader.is_empty(name)
        && !matches!(
            reader.from(name),
            Origin::Default | Origin::Saved | Origin::Adopted | Origin::Edited
        )
}
