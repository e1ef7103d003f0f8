//! The state of the engine in a swarm.

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

/// How long an engine may take to rejoin its swarm after a start.
const START: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SwarmFact {
    /// The engine is not in a swarm.
    #[default]
    Inactive,
    /// The engine manages a swarm.
    Manager {
        /// Whether the installer created it; the installer never leaves another one.
        is_ours: bool,
        /// Number of hosts in the swarm.
        nodes: usize,
    },
    /// The engine is a worker of another manager.
    Worker,
    /// The swarm is locked, and waits for its unlock key.
    Locked,
    /// The swarm does not work, for example because its certificate has expired or most managers
    /// are unreachable.
    Broken(String),
}

/// This host's node in the swarm that it manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFact {
    pub name: String,
    pub availability: Availability,
    /// Whether the managers see the node as ready.
    pub is_ready: bool,
    /// Address for other nodes.
    pub address: String,
}

/// Whether the scheduler may assign tasks to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// It runs existing and new tasks.
    Active,
    /// It keeps existing tasks, but gets no new ones.
    Paused,
    /// It runs no tasks, so deployed services do not start there.
    Drained,
}

#[derive(Default)]
pub(super) struct Swarm {
    pub(super) fact: SwarmFact,
    pub(super) node: Option<NodeFact>,
    pub(super) pools: Vec<String>,
}

/// The engine's information, once it is not joining a swarm any more.
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
            SwarmFact::Broken(format!("the node does not join its swarm {problem}"))
        }
        _ => SwarmFact::Inactive,
    };
    Ok(Swarm { fact, ..Swarm::default() })
}

async fn managed(docker: &Docker, own: Option<&str>) -> anyhow::Result<Swarm> {
    let swarm = match docker.inspect_swarm().await {
        Ok(swarm) => swarm,
        // A manager without a majority cannot answer.
        Err(Error::DockerResponseServerError { status_code: 500.., message }) => {
            return Ok(Swarm { fact: SwarmFact::Broken(message), ..Swarm::default() });
        }
        Err(error) => return Err(error).context("querying the swarm"),
    };
    let nodes = docker.list_nodes(None::<ListNodesOptions>).await;
    let nodes = nodes.context("listing the swarm's nodes")?;
    let labels = swarm.spec.and_then(|spec| spec.labels);
    Ok(Swarm {
        fact: SwarmFact::Manager { is_ours: super::is_ours(labels.as_ref()), nodes: nodes.len() },
        node: nodes.into_iter().find(|node| node.id.as_deref() == own).map(node),
        pools: swarm.default_addr_pool.unwrap_or_default(),
    })
}

/// Objects in the swarm that belong neither to the installer nor to its stack. They would be lost
/// with the swarm.
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
    let secrets = secrets.context("listing the swarm's secrets")?.into_iter();
    let secrets = secrets.filter_map(|it| it.spec).map(|it| ("secret", it.name, it.labels));
    let configs = docker.list_configs(None::<ListConfigsOptions>).await;
    let configs = configs.context("listing the swarm's configs")?.into_iter();
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
