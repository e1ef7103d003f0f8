//! What was given and changes nothing, since the role that it is for is disabled.

use cmsg_config::socket::Role;

use super::{
    listen::{ListenAt, ListenKey},
    reader::Reader,
};
use crate::{answers::Origin, args::settings::Setting, installation::Runtime};

/// Settings of the Connection Manager alone.
const MANAGER: [Setting; 10] = [
    Setting::BrokerUrl,
    Setting::BrokerCertCheck,
    Setting::BrokerPin,
    Setting::ExternalSgIp,
    Setting::ExternalSgControl,
    Setting::ExternalSgPin,
    Setting::LicenseServerUrl,
    Setting::TrustedProxies,
    Setting::AgentPort,
    Setting::JwtSigningKey,
];
/// Settings of the Security Gateway alone.
const GATEWAY: [Setting; 1] = [Setting::ExternalPcoipIp];

/// Settings of Docker Swarm alone.
const DOCKER: [Setting; 5] = [
    Setting::DockerNetworkCidr,
    Setting::ComposeFile,
    Setting::DockerRegistry,
    Setting::DockerUsername,
    Setting::DockerPassword,
];

/// Warns of it. What the last installation saved may wait until its role is enabled again.
pub(super) fn warn(reader: &mut Reader<'_>, roles: &[Role], runtime: Runtime, listen: &[ListenAt]) {
    // That is refused.
    if roles.is_empty() {
        return;
    }
    let disabled = [
        (Role::Cm, "the Connection Manager is disabled", &MANAGER[..]),
        (Role::Sg, "the Security Gateway is disabled", &GATEWAY[..]),
    ];
    for (role, why, settings) in disabled {
        if !roles.contains(&role) {
            settings.iter().for_each(|setting| warn_of(reader, *setting, why));
        }
    }
    if roles.contains(&Role::Cm) && !reader.switch(Setting::BrokerCertCheck) {
        warn_of(reader, Setting::BrokerPin, "the broker's certificate is not verified");
    }
    if runtime == Runtime::Host {
        for setting in DOCKER {
            warn_of(reader, setting, "the runtime is not Docker Swarm");
        }
    } else if reader.is_empty(Setting::DockerRegistry) {
        warn_of(reader, Setting::DockerUsername, "`--docker-registry` is not set");
    }
    if is_given(reader, Setting::Listen) {
        let used = ListenKey::of(roles);
        for one in listen.iter().filter(|one| !used.iter().any(|(_, key)| *key == one.key)) {
            let what = format!("`--listen` sets `{}`, which no enabled role uses", one.key);
            reader.warn("settings.ignored", what, "omit it, or enable its role");
        }
    }
}

fn warn_of(reader: &mut Reader<'_>, setting: Setting, why: &str) {
    if is_given(reader, setting) {
        let what = format!("`--{setting}` is ignored because {why}");
        reader.warn("settings.ignored", what, "omit it, or enable the feature that uses it");
    }
}

fn is_given(reader: &Reader<'_>, setting: Setting) -> bool {
    !reader.is_empty(setting)
        && !matches!(
            reader.from(setting),
            Origin::Default | Origin::Saved | Origin::Adopted | Origin::Edited
        )
}
