//! The swarm: made on the loopback where it is this host's alone, and left again.

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

/// A host that was off for longer than a node's certificate lives would not start its services; the
/// usual 90 days are no time for a gateway that stands by.
const CERTIFICATE_NANOSECONDS: i64 = 20 * 365 * 24 * 60 * 60 * 1_000_000_000;
/// Nobody else joins: the port of the managers stays on the loopback.
const LISTEN: &str = "127.0.0.1:2377";
const ADVERTISE: &str = "127.0.0.1";
/// The bridge that every swarm has.
const GATEWAY: &str = "docker_gwbridge";
/// And what the engine connects to it last when it joins.
const INGRESS: &str = "ingress-sbox";
/// An engine has joined its swarm within this time.
const JOIN: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);

impl Engine {
    /// Makes a swarm of this host alone, whose certificates last.
    ///
    /// # Errors
    ///
    /// Where the engine refuses.
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
            self.docker.init_swarm(request).await.context("making a swarm")?;
            // The first certificate was made before the swarm knew how long it should last.
            let swarm = self.docker.inspect_swarm().await.context("asking for the new swarm")?;
            let version = swarm.version.and_then(|version| version.index).unwrap_or_default();
            let options = UpdateSwarmOptions {
                version: i64::try_from(version).context("the swarm's version is too large")?,
                ..UpdateSwarmOptions::default()
            };
            let wanted =
                SwarmSpec { ca_config: spec(1).ca_config, ..swarm.spec.unwrap_or_default() };
            self.docker.update_swarm(wanted, options).await.context("making its certificates last")
        })
    }

    /// Leaves the swarm, and ends it where this host was alone in it.
    ///
    /// # Errors
    ///
    /// Where the engine refuses.
    pub fn leave_swarm(&self) -> anyhow::Result<()> {
        let options = LeaveSwarmOptions { force: true };
        self.runtime.block_on(async {
            self.until_joined().await;
            self.docker.leave_swarm(Some(options)).await.context("leaving the swarm")?;
            // Docker makes this bridge with a swarm, and forgets it. Where something still uses it,
            // it stays.
            let _ = self.docker.remove_network(GATEWAY).await;
            Ok(())
        })
    }

    /// Waits until the engine has set up the network `ingress`, which every swarm has. It does so after
    /// it has joined, and where it leaves in the midst of it, that network stays and cannot be removed.
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

    /// Makes the overlay network of that range.
    ///
    /// # Errors
    ///
    /// Where the engine refuses.
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
        made.with_context(|| format!("making the network `{name}`")).map(drop)
    }

    /// Removes a network; one that is not there stays away.
    ///
    /// # Errors
    ///
    /// Where the engine refuses.
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
