//! What the engine says about itself, as far as checks and plan ask.

mod services;
mod settings;
mod swarm;
mod version;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use bollard::{
    Docker,
    models::{Network, SystemInfo},
    query_parameters::{ListImagesOptions, ListNetworksOptions},
};

use crate::{LABEL, LABEL_VALUE, LAYER_LABEL};

use settings::Settings;

pub use services::{MountFact, ServiceFact};
pub use swarm::{Availability, NodeFact, SwarmFact};
pub use version::Version;

/// The engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineFacts {
    /// Its version, e.g. `20.10.24+dfsg1`.
    pub version: String,
    /// The three numbers of it, where it begins with such.
    pub release: Option<Version>,
    /// What its processors are, e.g. `amd64`.
    pub architecture: String,
    /// Whether it is podman behind Docker's socket.
    pub is_podman: bool,
    /// Whether containers outlive it, which a swarm does not allow.
    pub has_live_restore: bool,
    /// Where images and containers lie.
    pub data_root: PathBuf,
    /// How it limits containers: `1` or `2` and who does it, e.g. `systemd`.
    pub cgroups: CgroupFact,
    /// What keeps containers from the host, e.g. `apparmor`, `seccomp`, `selinux`, `rootless`,
    /// `userns`, `no-new-privileges`.
    pub security: BTreeSet<String>,
    /// Files that a process in a container may open, where that is set.
    pub open_files: Option<u64>,
    /// The ranges that it takes the networks of containers from, where its file names some.
    pub address_pools: Vec<String>,
    /// Its place in a swarm.
    pub swarm: SwarmFact,
    /// Its own node, where it manages a swarm.
    pub node: Option<NodeFact>,
    /// The ranges that its swarm takes overlay networks from, where it manages one.
    pub swarm_pools: Vec<String>,
    /// Its networks.
    pub networks: Vec<NetworkFact>,
    /// The swarm's services.
    pub services: Vec<ServiceFact>,
    /// What others keep in the swarm that this engine manages, beside services: networks, secrets and
    /// configurations, each in words.
    pub others: Vec<String>,
    /// Its images with a name, and ours without one.
    pub images: Vec<ImageFact>,
}

/// How the engine limits containers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CgroupFact {
    /// The version of control groups.
    pub version: String,
    /// Who makes them.
    pub driver: String,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFact {
    /// Its name.
    pub name: String,
    /// Its ranges, as it writes them.
    pub subnets: Vec<String>,
    /// Whether this installer made it.
    pub is_ours: bool,
}

/// An image with a name, or one of ours that has lost its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFact {
    /// What the engine calls it.
    pub id: String,
    /// Its names.
    pub tags: Vec<String>,
    /// The digest of its layer where it is one of ours.
    pub layer: Option<String>,
}

/// Asks for all of it; the engine is behind that socket.
pub(super) async fn read(docker: &Docker, socket: &Path) -> anyhow::Result<EngineFacts> {
    let version = docker.version().await.context("asking the docker engine for its version")?;
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|component| component.name.contains("Podman"));
    let info = swarm::settled(docker).await?;
    let swarm = swarm::read(docker, &info).await?;
    let services = match swarm.fact {
        SwarmFact::Manager { .. } => services::read(docker).await?,
        _ => Vec::new(),
    };
    let networks = docker.list_networks(None::<ListNetworksOptions>).await;
    let networks = networks.context("asking for the networks")?;
    let others = match swarm.fact {
        SwarmFact::Manager { .. } => swarm::others(docker, &networks).await?,
        _ => Vec::new(),
    };
    let text = version.version.unwrap_or_default();
    let settings = Settings::read(socket);
    let named = settings.no_new_privileges.then(|| "no-new-privileges".to_owned());
    let security = info.security_options.iter().flatten().map(|option| security(option));
    Ok(EngineFacts {
        release: Version::parse(&text),
        version: text,
        architecture: version.arch.unwrap_or_default(),
        is_podman,
        has_live_restore: info.live_restore_enabled.unwrap_or_default(),
        data_root: info.docker_root_dir.clone().unwrap_or_default().into(),
        cgroups: cgroups(&info),
        security: security.chain(named).collect(),
        open_files: settings.open_files,
        address_pools: pools(&info),
        swarm: swarm.fact,
        node: swarm.node,
        swarm_pools: swarm.pools,
        networks: networks.into_iter().map(network).collect(),
        services,
        others,
        images: images(docker).await?,
    })
}

fn cgroups(info: &SystemInfo) -> CgroupFact {
    let text = |value: Option<String>| value.unwrap_or_default();
    CgroupFact {
        version: text(info.cgroup_version.map(|version| version.to_string())),
        driver: text(info.cgroup_driver.map(|driver| driver.to_string())),
    }
}

/// The name in `name=seccomp,profile=default`.
fn security(option: &str) -> String {
    let mut parts = option.split(',');
    let name = parts.find_map(|part| part.strip_prefix("name="));
    name.unwrap_or(option).to_owned()
}

fn pools(info: &SystemInfo) -> Vec<String> {
    let pools = info.default_address_pools.iter().flatten();
    pools.filter_map(|pool| pool.base.clone()).collect()
}

fn network(network: Network) -> NetworkFact {
    let ranges = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    NetworkFact {
        name: network.name.unwrap_or_default(),
        subnets: ranges.into_iter().filter_map(|range| range.subnet).collect(),
        is_ours: is_ours(network.labels.as_ref()),
    }
}

async fn images(docker: &Docker) -> anyhow::Result<Vec<ImageFact>> {
    let images = docker.list_images(None::<ListImagesOptions>).await;
    let images = images.context("asking for the images")?;
    Ok(images
        .into_iter()
        .map(|image| ImageFact {
            id: image.id,
            // What an older engine calls a name that it does not have.
            tags: image.repo_tags.into_iter().filter(|tag| tag != "<none>:<none>").collect(),
            layer: image.labels.get(LAYER_LABEL).cloned(),
        })
        .filter(|image| !image.tags.is_empty() || image.layer.is_some())
        .collect())
}

fn is_ours(labels: Option<&HashMap<String, String>>) -> bool {
    labels.and_then(|labels| labels.get(LABEL)).is_some_and(|value| value == LABEL_VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_security_option_is_known_by_its_name() {
        for (option, name) in [
            ("name=seccomp,profile=default", "seccomp"),
            ("name=rootless", "rootless"),
            ("selinux", "selinux"),
        ] {
            assert_eq!(security(option), name);
        }
    }
}
