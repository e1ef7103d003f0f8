//! A Docker engine that is only remembered.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use cmsg_config::socket::{DEPLOYMENT, Role};
use cmsg_engine::{
    EngineFacts, ImageFact, NetworkFact, STACK, ServiceFact, SwarmFact,
    archive::Source,
    image_name, reference,
    stack::{NETWORK, service, service_name},
};
use ipnet::Ipv4Net;

use super::Recorder;
use crate::system::{Awaited, EngineSystem, Who};

/// What is at the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct EngineState {
    /// The names of images.
    pub(crate) images: BTreeSet<String>,
    /// Whether there is a swarm, and what addresses it takes.
    pub(crate) swarm: Option<Ipv4Net>,
    /// The network of the stack.
    pub(crate) network: Option<Ipv4Net>,
    pub(crate) others: BTreeSet<String>,
    /// What the files said that were deployed last, by path.
    pub(crate) services: BTreeMap<PathBuf, String>,
}

impl EngineState {
    /// Loads what the tests take for an archive: names of images, a line each.
    pub(crate) fn load(&mut self, archive: &str) {
        self.images.extend(archive.lines().map(str::to_owned));
    }

    /// Removes images; one that runs stays, and that is an error.
    pub(crate) fn remove(&mut self, names: &[String]) -> anyhow::Result<()> {
        for name in names {
            if self.services.values().any(|text| text.contains(&id(name))) {
                bail!("the image `{name}` is in use");
            }
            self.images.remove(name);
        }
        Ok(())
    }

    /// What it calls an image.
    pub(crate) fn id(&self, name: &str) -> anyhow::Result<String> {
        let image = self.images.get(name).with_context(|| format!("there is no image `{name}`"))?;
        Ok(id(image))
    }

    pub(crate) fn deploy(
        &mut self,
        files: &[PathBuf],
        read: impl Fn(&Path) -> Option<String>,
    ) -> anyhow::Result<()> {
        if self.swarm.is_none() {
            bail!("this node is not a swarm manager");
        }
        let text = |file: &PathBuf| {
            let text = read(file).with_context(|| format!("there is no `{}`", file.display()))?;
            Ok((file.clone(), text))
        };
        self.services = files.iter().map(text).collect::<anyhow::Result<_>>()?;
        Ok(())
    }

    /// What the deployment of a role is called.
    pub(crate) fn deployment(&self, role: Role) -> Option<String> {
        let read = |text: &String| -> Option<String> {
            let stack: serde_json::Value = serde_yaml::from_str(text).ok()?;
            let environment = &stack["services"][service(role)]["environment"];
            environment[DEPLOYMENT].as_str().map(str::to_owned)
        };
        self.services.values().find_map(read)
    }

    /// What a room that speaks to a real one would tell of it.
    pub(crate) fn facts(&self) -> EngineFacts {
        let of = |role: Role| ServiceFact {
            name: service_name(role),
            stack: Some(STACK.to_owned()),
            is_ours: true,
            running: 1,
            ..ServiceFact::default()
        };
        let roles = [Role::Cm, Role::Sg].into_iter();
        let image = |tag: &String| ImageFact {
            id: id(tag),
            tags: vec![tag.clone()],
            layer: Some(format!("sha256:{tag}")),
        };
        let network = |network: &Ipv4Net| NetworkFact {
            name: NETWORK.to_owned(),
            subnets: vec![network.to_string()],
            is_ours: true,
        };
        EngineFacts {
            version: "20.10.24".to_owned(),
            swarm: match self.swarm {
                Some(_) => SwarmFact::Manager { is_ours: true, nodes: 1 },
                None => SwarmFact::Inactive,
            },
            networks: self.network.iter().map(network).collect(),
            services: roles.filter(|role| self.deployment(*role).is_some()).map(of).collect(),
            images: self.images.iter().map(image).collect(),
            ..EngineFacts::default()
        }
    }

    pub(crate) fn make_network(&mut self, network: Ipv4Net) -> anyhow::Result<()> {
        if self.network.is_some() {
            bail!("the network is there");
        }
        self.network = Some(network);
        Ok(())
    }
}

fn id(name: &str) -> String {
    format!("sha256:of-{}", name.replace(['/', ':'], "-"))
}

impl EngineSystem for Recorder {
    fn set_engine_at_boot(&mut self, starts: bool) -> anyhow::Result<()> {
        self.note(format!("{} docker", if starts { "enable" } else { "disable" }))
    }

    fn load_images(&mut self, archive: &Source) -> anyhow::Result<()> {
        self.note(format!("load {}", archive.path().display()))?;
        self.state.engine.load("pcoip-cm:1\nsg:1");
        Ok(())
    }

    fn pull_image(&mut self, registry: &str, role: Role, who: Option<&Who>) -> anyhow::Result<()> {
        let who = who.map(|who| format!(" as {}", who.user)).unwrap_or_default();
        self.note(format!("pull {} from {registry}{who}", image_name(role)))?;
        self.state.engine.images.insert(reference(registry, role, env!("CARGO_PKG_VERSION")));
        Ok(())
    }

    fn remove_images(&mut self, names: &[String]) -> anyhow::Result<()> {
        self.note(format!("rmi {}", names.join(" ")))?;
        self.state.engine.remove(names)
    }

    fn image_id(&mut self, name: &str) -> anyhow::Result<String> {
        Ok(id(name))
    }

    fn account(&mut self) -> anyhow::Result<(u32, u32)> {
        Ok((977, 976))
    }

    fn make_swarm(&mut self, pool: Ipv4Net) -> anyhow::Result<()> {
        self.note(format!("swarm init {pool}"))?;
        self.state.engine.swarm = Some(pool);
        Ok(())
    }

    fn leave_swarm(&mut self) -> anyhow::Result<()> {
        self.note("swarm leave".to_owned())?;
        self.state.engine.swarm = None;
        Ok(())
    }

    fn make_network(&mut self, network: Ipv4Net) -> anyhow::Result<()> {
        self.note(format!("network create {network}"))?;
        self.state.engine.make_network(network)
    }

    fn remove_network(&mut self) -> anyhow::Result<()> {
        self.note("network rm".to_owned())?;
        self.state.engine.network = None;
        Ok(())
    }

    fn deploy(&mut self, files: &[PathBuf]) -> anyhow::Result<()> {
        let names: Vec<_> = files.iter().map(|file| super::short(file)).collect();
        self.note(format!("deploy {}", names.join(" ")))
    }

    fn remove_services(&mut self) -> anyhow::Result<()> {
        self.note("service rm".to_owned())?;
        self.state.engine.services.clear();
        Ok(())
    }

    fn remove_networks(&mut self, names: &[String]) -> anyhow::Result<()> {
        self.note(format!("network rm {}", names.join(" ")))?;
        self.state.engine.others.retain(|name| !names.contains(name));
        Ok(())
    }

    fn failed_at(&mut self, role: Role) -> Vec<String> {
        let every = self.fails_every.filter(|_| role == Role::Cm);
        let failed = every.map_or(0, |every| self.pauses / every);
        let since = (1..=failed).rev().map(|number| format!("1:{number:03}"));
        since.chain(self.failed_before.iter().cloned()).collect()
    }

    fn service_tail(&mut self, _roles: &[Awaited]) -> Vec<String> {
        Vec::new()
    }
}
