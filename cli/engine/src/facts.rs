//! What the checks and the plan need to know about the engine.

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

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineFacts {
    /// Version with the distribution's suffix, for example `20.10.24+dfsg1`.
    pub version: String,
    /// The version number; `None` if the version has another format.
    pub release: Option<Version>,
    /// Architecture, for example `amd64`.
    pub architecture: String,
    /// Whether it is Podman behind Docker's socket.
    pub is_podman: bool,
    /// Whether containers survive a restart of the engine, which Swarm does not support.
    pub has_live_restore: bool,
    /// Directory of images and containers.
    pub data_root: PathBuf,
    /// Version and driver of control groups.
    pub cgroups: CgroupFact,
    /// Security options, for example `apparmor`, `seccomp`, `selinux`, `rootless`, `userns` or
    /// `no-new-privileges`.
    pub security: BTreeSet<String>,
    /// Default open-file limit of containers, if it is set.
    pub open_files: Option<u64>,
    /// Address pools for container networks in the configuration file.
    pub address_pools: Vec<String>,
    pub swarm: SwarmFact,
    /// This host's node, if the engine manages a swarm.
    pub node: Option<NodeFact>,
    /// Address pools for overlay networks, if the engine manages a swarm.
    pub swarm_pools: Vec<String>,
    pub networks: Vec<NetworkFact>,
    pub services: Vec<ServiceFact>,
    /// Networks, secrets and configs of other owners in the swarm that this engine manages, as
    /// text.
    pub others: Vec<String>,
    /// Images with a name, and images of this product without one.
    pub images: Vec<ImageFact>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CgroupFact {
    /// Version of control groups: `1` or `2`.
    pub version: String,
    /// Driver, for example `systemd`.
    pub driver: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFact {
    pub name: String,
    /// Ranges in CIDR notation, as the engine writes them.
    pub subnets: Vec<String>,
    /// Whether the installer created it.
    pub is_ours: bool,
}

/// An image with a name, or an image of this product that lost its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFact {
    pub id: String,
    /// Names with their tags.
    pub tags: Vec<String>,
    /// Digest of its layer, if it is an image of this product.
    pub layer: Option<String>,
}

/// Queries the engine behind this socket.
pub(super) async fn read(docker: &Docker, socket: &Path) -> anyhow::Result<EngineFacts> {
    let version = docker.version().await.context("querying Docker's version")?;
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|component| component.name.contains("Podman"));
    let info = swarm::settled(docker).await?;
    let swarm = swarm::read(docker, &info).await?;
    let services = match swarm.fact {
        SwarmFact::Manager { .. } => services::read(docker).await?,
        _ => Vec::new(),
    };
    let networks = docker.list_networks(None::<ListNetworksOptions>).await;
    let networks = networks.context("listing the networks")?;
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
    let images = images.context("listing the images")?;
    Ok(images
        .into_iter()
        .map(|image| ImageFact {
            id: image.id,
            // Older engines report a missing name like this.
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
    fn a_security_option_is_recognized_by_its_name() {
        for (option, name) in [
            ("name=seccomp,profile=default", "seccomp"),
            ("name=rootless", "rootless"),
            ("selinux", "selinux"),
        ] {
            assert_eq!(security(option), name);
        }
    }
}
