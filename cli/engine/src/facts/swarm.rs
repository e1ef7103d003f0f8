//! The engine's place in a swarm.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bollard::{
    Docker,
    errors::Error,
    models::{LocalNodeState, Network, Node, NodeSpecAvailabilityEnum, NodeState, SystemInfo},
    query_parameters::{ListConfigsOptions, ListNodesOptions, ListSecretsOptions},
};

use crate::{STACK, services::NAMESPACE};

/// An engine that was started a moment ago has found its swarm again within this time.
const START: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);

/// The engine's place in a swarm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SwarmFact {
    /// In none.
    #[default]
    Inactive,
    /// It manages one.
    Manager {
        /// Whether this installer made it; no other is ever left.
        is_ours: bool,
        /// How many hosts are in it.
        nodes: usize,
    },
    /// It works in a swarm that others manage.
    Worker,
    /// Its swarm waits for a key.
    Locked,
    /// Its swarm is out of order, e.g. its certificate has expired or most managers are away.
    Broken(String),
}

/// The engine's own node in the swarm that it manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFact {
    /// Its name in the swarm.
    pub name: String,
    /// Whether it takes tasks.
    pub availability: Availability,
    /// Whether the managers see it at work.
    pub is_ready: bool,
    /// How the others reach it.
    pub address: String,
}

/// Whether a node takes tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Active,
    /// It keeps those that it has.
    Paused,
    /// It runs none: nothing that is deployed starts there.
    Drained,
}

/// What is asked of it.
#[derive(Default)]
pub(super) struct Swarm {
    pub(super) fact: SwarmFact,
    pub(super) node: Option<NodeFact>,
    pub(super) pools: Vec<String>,
}

/// What the engine says about itself when it is no longer on its way into its swarm.
pub(super) async fn settled(docker: &Docker) -> anyhow::Result<SystemInfo> {
    let begun = Instant::now();
    loop {
        let info = docker.info().await.context("querying Docker")?;
        let state = info.swarm.as_ref().and_then(|swarm| swarm.local_node_state);
        if state != Some(LocalNodeState::PENDING) || begun.elapsed() > START {
            return Ok(info);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

pub(super) async fn read(docker: &Docker, info: &SystemInfo) -> anyhow::Result<Swarm> {
    let Some(swarm) = &info.swarm else { return Ok(Swarm::default()) };
    let problem = swarm.error.clone().unwrap_or_default();
    let fact = match swarm.local_node_state {
        Some(LocalNodeState::ACTIVE) if swarm.control_available == Some(true) => {
            return managed(docker, swarm.node_id.as_deref()).await;
        }
        Some(LocalNodeState::ACTIVE) => SwarmFact::Worker,
        Some(LocalNodeState::LOCKED) => SwarmFact::Locked,
        Some(LocalNodeState::ERROR) => SwarmFact::Broken(problem),
        Some(LocalNodeState::PENDING) => {
            SwarmFact::Broken(format!("the node does not come into its swarm {problem}"))
        }
        _ => SwarmFact::Inactive,
    };
    Ok(Swarm { fact, ..Swarm::default() })
}

async fn managed(docker: &Docker, own: Option<&str>) -> anyhow::Result<Swarm> {
    let swarm = match docker.inspect_swarm().await {
        Ok(swarm) => swarm,
        // A manager without a majority of the others knows nothing.
        Err(Error::DockerResponseServerError { status_code: 500.., message }) => {
            return Ok(Swarm { fact: SwarmFact::Broken(message), ..Swarm::default() });
        }
        Err(error) => return Err(error).context("asking for the swarm"),
    };
    let nodes = docker.list_nodes(None::<ListNodesOptions>).await;
    let nodes = nodes.context("asking for the swarm's nodes")?;
    let labels = swarm.spec.and_then(|spec| spec.labels);
    Ok(Swarm {
        fact: SwarmFact::Manager { is_ours: super::is_ours(labels.as_ref()), nodes: nodes.len() },
        node: nodes.into_iter().find(|node| node.id.as_deref() == own).map(node),
        pools: swarm.default_addr_pool.unwrap_or_default(),
    })
}

/// What is in the swarm and neither this installer's nor its stack's. It would go with the swarm.
pub(super) async fn others(docker: &Docker, networks: &[Network]) -> anyhow::Result<Vec<String>> {
    let is_others = |network: &&Network| {
        network.scope.as_deref() == Some("swarm")
            && network.ingress != Some(true)
            && !is_of_stack(network.labels.as_ref())
    };
    let name =
        |network: &Network| format!("network {}", network.name.as_deref().unwrap_or_default());
    let mut all: Vec<_> = networks.iter().filter(is_others).map(name).collect();
    let secrets = docker.list_secrets(None::<ListSecretsOptions>).await;
    let secrets = secrets.context("asking for the swarm's secrets")?.into_iter();
    let secrets = secrets.filter_map(|it| it.spec).map(|it| ("secret", it.name, it.labels));
    let configs = docker.list_configs(None::<ListConfigsOptions>).await;
    let configs = configs.context("asking for the swarm's configs")?.into_iter();
    let configs = configs.filter_map(|it| it.spec).map(|it| ("config", it.name, it.labels));
    let objects = secrets.chain(configs).filter(|(_, _, labels)| !is_of_stack(labels.as_ref()));
    all.extend(objects.map(|(kind, name, _)| format!("{kind} {}", name.unwrap_or_default())));
    Ok(all)
}

fn is_of_stack(labels: Option<&HashMap<String, String>>) -> bool {
    let stack = labels.and_then(|labels| labels.get(NAMESPACE));
    super::is_ours(labels) || stack.is_some_and(|stack| stack == STACK)
}

fn node(node: Node) -> NodeFact {
    let status = node.status.unwrap_or_default();
    NodeFact {
        name: node.description.and_then(|said| said.hostname).unwrap_or_default(),
        availability: match node.spec.and_then(|spec| spec.availability) {
            Some(NodeSpecAvailabilityEnum::DRAIN) => Availability::Drained,
            Some(NodeSpecAvailabilityEnum::PAUSE) => Availability::Paused,
            _ => Availability::Active,
        },
        is_ready: status.state == Some(NodeState::READY),
        address: status.addr.unwrap_or_default(),
    }
}
