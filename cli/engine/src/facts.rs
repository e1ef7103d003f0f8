//! What the engine says about itself, as far as checks and plan ask.

use std::collections::HashMap;

use anyhow::Context as _;
use bollard::{
    Docker,
    models::{LocalNodeState, Network, Service, SystemInfo},
    query_parameters::{
        ListImagesOptions, ListNetworksOptions, ListNodesOptions, ListServicesOptions,
    },
};

use crate::{LABEL, LABEL_VALUE, LAYER_LABEL, services::NAMESPACE};

/// The engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Its version, e.g. `20.10.24+dfsg1`.
    pub version: String,
    /// Whether it is podman behind Docker's socket.
    pub is_podman: bool,
    /// Whether containers outlive it, which a swarm does not allow.
    pub has_live_restore: bool,
    /// Its place in a swarm.
    pub swarm: SwarmFact,
    /// Its networks.
    pub networks: Vec<NetworkFact>,
    /// The swarm's services.
    pub services: Vec<ServiceFact>,
    /// Its images with a name.
    pub images: Vec<ImageFact>,
}

/// The engine's place in a swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwarmFact {
    /// In none.
    Inactive,
    /// It manages one.
    Manager {
        /// Whether this installer made it.
        is_ours: bool,
        /// How many hosts are in it.
        nodes: usize,
    },
    /// It works in a swarm that others manage.
    Worker,
    /// Its swarm waits for a key.
    Locked,
    /// Its swarm is out of order, e.g. its certificate has expired.
    Broken(String),
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

/// A service of the swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFact {
    /// Its name, e.g. `pcoipcm_cm`.
    pub name: String,
    /// The stack that it belongs to.
    pub stack: Option<String>,
    /// The image that it runs, as the stack file named it.
    pub image: String,
    /// Whether this installer made it.
    pub is_ours: bool,
    /// How many of its tasks run.
    pub running: u64,
}

/// An image with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFact {
    /// What the engine calls it.
    pub id: String,
    /// Its names.
    pub tags: Vec<String>,
    /// The digest of its layer where it is one of ours.
    pub layer: Option<String>,
}

/// Asks for all of it.
pub(super) async fn read(docker: &Docker) -> anyhow::Result<EngineFacts> {
    let info = docker.info().await.context("asking the docker engine about itself")?;
    let version = docker.version().await.context("asking the docker engine for its version")?;
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|component| component.name.contains("Podman"));
    let swarm = swarm(docker, &info).await?;
    let services = match swarm {
        SwarmFact::Manager { .. } => services(docker).await?,
        _ => Vec::new(),
    };
    Ok(EngineFacts {
        version: version.version.unwrap_or_default(),
        is_podman,
        has_live_restore: info.live_restore_enabled.unwrap_or_default(),
        swarm,
        networks: networks(docker).await?,
        services,
        images: images(docker).await?,
    })
}

async fn swarm(docker: &Docker, info: &SystemInfo) -> anyhow::Result<SwarmFact> {
    let Some(swarm) = &info.swarm else { return Ok(SwarmFact::Inactive) };
    let problem = swarm.error.clone().unwrap_or_default();
    match swarm.local_node_state {
        Some(LocalNodeState::ACTIVE) if swarm.control_available == Some(true) => {
            let spec = docker.inspect_swarm().await.context("asking for the swarm")?.spec;
            let nodes = docker.list_nodes(None::<ListNodesOptions>).await;
            Ok(SwarmFact::Manager {
                is_ours: is_ours(spec.and_then(|spec| spec.labels).as_ref()),
                nodes: nodes.context("asking for the swarm's nodes")?.len(),
            })
        }
        Some(LocalNodeState::ACTIVE) => Ok(SwarmFact::Worker),
        Some(LocalNodeState::LOCKED) => Ok(SwarmFact::Locked),
        Some(LocalNodeState::ERROR | LocalNodeState::PENDING) => Ok(SwarmFact::Broken(problem)),
        _ => Ok(SwarmFact::Inactive),
    }
}

async fn services(docker: &Docker) -> anyhow::Result<Vec<ServiceFact>> {
    let options = ListServicesOptions { status: Some(true), ..ListServicesOptions::default() };
    let services = docker.list_services(Some(options)).await;
    Ok(services.context("asking for the swarm's services")?.into_iter().map(service).collect())
}

fn service(service: Service) -> ServiceFact {
    let status = service.service_status.unwrap_or_default();
    let spec = service.spec.unwrap_or_default();
    let labels = spec.labels.unwrap_or_default();
    let container = spec.task_template.and_then(|task| task.container_spec);
    ServiceFact {
        name: spec.name.unwrap_or_default(),
        stack: labels.get(NAMESPACE).cloned(),
        image: container.and_then(|container| container.image).unwrap_or_default(),
        is_ours: is_ours(Some(&labels)),
        running: status.running_tasks.unwrap_or_default(),
    }
}

async fn networks(docker: &Docker) -> anyhow::Result<Vec<NetworkFact>> {
    let networks = docker.list_networks(None::<ListNetworksOptions>).await;
    Ok(networks.context("asking for the networks")?.into_iter().map(network).collect())
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
        .filter(|image| !image.tags.is_empty())
        .collect())
}

fn is_ours(labels: Option<&HashMap<String, String>>) -> bool {
    labels.and_then(|labels| labels.get(LABEL)).is_some_and(|value| value == LABEL_VALUE)
}
