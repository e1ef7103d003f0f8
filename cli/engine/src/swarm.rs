//! Creates and leaves a swarm. A swarm of this host alone uses the loopback interface.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bollard::{
    models::{
        Ipam, IpamConfig, NetworkCreateRequest, SwarmInitRequest, SwarmSpec, SwarmSpecCaConfig,
    },
    query_parameters::{InspectNetworkOptions, LeaveSwarmOptions, UpdateSwarmOptions},
};

use crate::{Engine, LABEL, LABEL_VALUE};

/// Validity of a node's certificate. A host that was off for longer would not start its services,
/// and the default of 90 days is too short for a standby gateway.
const CERTIFICATE_NANOSECONDS: i64 = 20 * 365 * 24 * 60 * 60 * 1_000_000_000;
/// The managers' port is only on the loopback interface, since no other host joins.
const LISTEN: &str = "127.0.0.1:2377";
const ADVERTISE: &str = "127.0.0.1";
/// The bridge that every swarm creates.
const GATEWAY: &str = "docker_gwbridge";
/// The last endpoint that the engine connects to the bridge when it joins.
const INGRESS: &str = "ingress-sbox";
/// How long an engine may take to join its swarm.
const JOIN: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);

impl Engine {
    /// Creates a swarm of this host alone, with long-lived certificates.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    pub fn make_swarm(&self, address_pool: &str) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let request = SwarmInitRequest {
                listen_addr: Some(LISTEN.to_owned()),
                advertise_addr: Some(ADVERTISE.to_owned()),
                data_path_addr: Some(ADVERTISE.to_owned()),
                default_addr_pool: Some(vec![address_pool.to_owned()]),
                subnet_size: Some(26),
                spec: Some(SwarmSpec { labels: Some(ours()), ..spec(0) }),
                ..SwarmInitRequest::default()
            };
            self.docker.init_swarm(request).await.context("creating a swarm")?;
            // The first certificate was created before its validity was set.
            let swarm = self.docker.inspect_swarm().await.context("querying the new swarm")?;
            let version = swarm.version.and_then(|version| version.index).unwrap_or_default();
            let options = UpdateSwarmOptions {
                version: i64::try_from(version).context("the swarm's version is too large")?,
                ..UpdateSwarmOptions::default()
            };
            let wanted =
                SwarmSpec { ca_config: spec(1).ca_config, ..swarm.spec.unwrap_or_default() };
            self.docker
                .update_swarm(wanted, options)
                .await
                .context("extending the lifetime of its certificates")
        })
    }

    /// Leaves the swarm, and removes it if this host was its only node.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    pub fn leave_swarm(&self) -> anyhow::Result<()> {
        let options = LeaveSwarmOptions { force: true };
        self.runtime.block_on(async {
            self.until_joined().await;
            self.docker.leave_swarm(Some(options)).await.context("leaving the swarm")?;
            // Docker creates this bridge with a swarm, and does not remove it. If it is still in use,
            // it stays.
            let _ = self.docker.remove_network(GATEWAY).await;
            Ok(())
        })
    }

    /// Waits until the engine has created the network `ingress`, which every swarm has. An engine
    /// that leaves before that keeps a network that cannot be removed.
    async fn until_joined(&self) {
        let begun = Instant::now();
        while begun.elapsed() < JOIN {
            let network = self.docker.inspect_network(GATEWAY, None::<InspectNetworkOptions>).await;
            let ends = network.ok().and_then(|network| network.containers);
            if ends.is_some_and(|ends| ends.contains_key(INGRESS)) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Creates an overlay network with this range.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    pub fn make_network(&self, name: &str, subnet: &str) -> anyhow::Result<()> {
        let range = IpamConfig { subnet: Some(subnet.to_owned()), ..IpamConfig::default() };
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("overlay".to_owned()),
            attachable: Some(true),
            ipam: Some(Ipam { config: Some(vec![range]), ..Ipam::default() }),
            labels: Some(ours()),
            ..NetworkCreateRequest::default()
        };
        let made = self.runtime.block_on(self.docker.create_network(request));
        made.with_context(|| format!("creating the network `{name}`")).map(drop)
    }

    /// Removes a network. Succeeds if it does not exist.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    pub fn remove_network(&self, name: &str) -> anyhow::Result<()> {
        let removed = self.runtime.block_on(self.docker.remove_network(name));
        crate::unless_absent(removed).with_context(|| format!("removing the network `{name}`"))
    }
}

fn spec(rotations: u64) -> SwarmSpec {
    let ca = SwarmSpecCaConfig {
        node_cert_expiry: Some(CERTIFICATE_NANOSECONDS),
        force_rotate: Some(rotations),
        ..SwarmSpecCaConfig::default()
    };
    SwarmSpec { ca_config: Some(ca), ..SwarmSpec::default() }
}

fn ours() -> HashMap<String, String> {
    HashMap::from([(LABEL.to_owned(), LABEL_VALUE.to_owned())])
}
