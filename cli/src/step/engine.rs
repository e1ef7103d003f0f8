//! Steps at the Docker engine.

use std::path::PathBuf;

use anyhow::Context as _;
use cmsg_config::{Paths, socket::Role};
use cmsg_engine::{
    archive::Source,
    reference,
    stack::{NETWORK, Service, Stack},
};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::{live, put_aside, trace::Trace, written};
use crate::{
    content::Content,
    installation::layout,
    system::{System, Who},
};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EngineStep {
    /// Has the engine start at boot.
    Enable,
    /// Loads images from an archive.
    LoadImages {
        /// What they are read from.
        archive: Source,
        /// The images in it.
        images: Vec<String>,
    },
    /// Pulls images from a registry.
    PullImages {
        /// `HOST[:PORT][/PATH]`.
        registry: String,
        /// Who asks, where it is not open.
        who: Option<Who>,
        /// The roles that they run.
        roles: Vec<Role>,
        /// Those of them that are not there under their names.
        images: Vec<String>,
    },
    /// Makes a swarm of this host alone.
    MakeSwarm {
        /// From where it takes addresses.
        pool: Ipv4Net,
    },
    /// Makes the network of the stack.
    MakeNetwork {
        /// Its range.
        network: Ipv4Net,
        /// The range of one that is there.
        replaces: Option<Ipv4Net>,
    },
    /// Writes the stack file.
    WriteStack {
        /// What it will say.
        stack: Draft,
        /// Whether one is there.
        replaces: bool,
    },
    /// Brings the services to what the files say.
    Deploy {
        /// The files.
        files: Vec<PathBuf>,
        /// Whether there are no services of ours yet.
        is_first: bool,
    },
    /// Removes the services.
    RemoveServices {
        /// Whose.
        paths: Paths,
        /// The files that deployed them.
        files: Vec<PathBuf>,
        /// The roles that they run.
        roles: Vec<Role>,
    },
    /// Removes, when all else is done, what nothing of ours needs any more.
    Leave(Vec<EngineTrace>),
}

/// A stack file whose numbers are known only when images and account are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Where everything lies.
    pub(crate) paths: Paths,
    /// The services; their images by name.
    pub(crate) services: Vec<Service>,
    /// The compose file of the operator's own below it.
    pub(crate) compose: Option<Content>,
}

/// What such a step leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum EngineTrace {
    /// The engine starts at boot and did not.
    Enabled,
    /// Images of these names are there that were not.
    NewImages(Vec<String>),
    /// The swarm is there that was not.
    NewSwarm,
    /// The network is there that was not.
    NewNetwork,
    /// The network had that range.
    WasNetwork(Ipv4Net),
    /// There were no services.
    NewServices,
    /// The services were as these files, which are back by then, say.
    Deployed(Vec<PathBuf>, Vec<Role>),
    /// Images of these names go when all else is done.
    ImagesGo(Vec<String>),
    /// The network goes when all else is done.
    NetworkGoes,
    /// The swarm goes when all else is done.
    SwarmGoes,
}

impl EngineStep {
    pub(super) fn perform(&self, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::Enable => system.set_engine_at_boot(true),
            Self::LoadImages { archive, .. } => system.load_images(archive),
            Self::PullImages { registry, who, roles, .. } => {
                roles.iter().try_for_each(|role| system.pull_image(registry, *role, who.as_ref()))
            }
            Self::MakeSwarm { pool } => system.make_swarm(*pool),
            Self::MakeNetwork { network, replaces } => {
                if replaces.is_some() {
                    system.remove_network()?;
                }
                system.make_network(*network)
            }
            Self::WriteStack { stack, replaces } => {
                let text = stack.render(system)?;
                let path = layout::stack(&stack.paths);
                put_aside(&path, *replaces, system)?;
                system.write(&path, &text.into())
            }
            Self::Deploy { files, .. } => system.deploy(files),
            Self::RemoveServices { .. } => system.remove_services(),
            Self::Leave(_) => Ok(()),
        }
    }

    pub(super) fn traces(&self) -> Vec<Trace> {
        match self {
            Self::Enable => vec![Trace::Engine(EngineTrace::Enabled)],
            Self::LoadImages { images, .. } | Self::PullImages { images, .. } => {
                vec![Trace::Engine(EngineTrace::NewImages(images.clone()))]
            }
            Self::MakeSwarm { .. } => vec![Trace::Engine(EngineTrace::NewSwarm)],
            Self::MakeNetwork { replaces, .. } => {
                let new = EngineTrace::NewNetwork;
                vec![Trace::Engine(replaces.map_or(new, EngineTrace::WasNetwork))]
            }
            Self::WriteStack { stack, replaces } => {
                vec![Trace::file(&layout::stack(&stack.paths), *replaces)]
            }
            // What was there before comes back when its files are back.
            Self::Deploy { is_first: false, .. } => Vec::new(),
            Self::Deploy { is_first: true, .. } => vec![Trace::Engine(EngineTrace::NewServices)],
            Self::RemoveServices { files, roles, .. } => {
                vec![Trace::Engine(EngineTrace::Deployed(files.clone(), roles.clone()))]
            }
            Self::Leave(traces) => traces.iter().cloned().map(Trace::Engine).collect(),
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Enable => "enable docker".to_owned(),
            Self::LoadImages { .. } => "load the images".to_owned(),
            Self::PullImages { .. } => "pull the images".to_owned(),
            Self::MakeSwarm { .. } => "make a swarm".to_owned(),
            Self::MakeNetwork { .. } => format!("make the network {NETWORK}"),
            Self::WriteStack { .. } => "write the stack file".to_owned(),
            Self::Deploy { .. } => "deploy the stack".to_owned(),
            Self::RemoveServices { .. } => "remove the services".to_owned(),
            Self::Leave(_) => "clean up at the docker engine".to_owned(),
        }
    }

    pub(super) fn changes(&self) -> String {
        match self {
            Self::Enable => "docker, and with it the services, starts at boot".to_owned(),
            Self::LoadImages { archive, images } => {
                format!("new: {}, from `{}`", images.join(", "), archive.path().display())
            }
            Self::PullImages { registry, roles, .. } => {
                let version = env!("CARGO_PKG_VERSION");
                let names: Vec<_> =
                    roles.iter().map(|role| reference(registry, *role, version)).collect();
                format!("new: {}", names.join(", "))
            }
            Self::MakeSwarm { pool } => format!(
                "docker manages a swarm of this host alone, on the loopback, with addresses of {pool}"
            ),
            Self::MakeNetwork { network, replaces: None } => format!("new: {network}"),
            Self::MakeNetwork { network, replaces: Some(old) } => {
                format!("its range: {network} in place of {old}")
            }
            Self::WriteStack { stack, replaces } => {
                written(&layout::stack(&stack.paths), *replaces)
            }
            Self::Deploy { is_first: true, .. } => "the services start".to_owned(),
            Self::Deploy { is_first: false, .. } => {
                "services that have changed start anew".to_owned()
            }
            Self::RemoveServices { .. } => "sessions end; clients cannot connect".to_owned(),
            Self::Leave(traces) => {
                let gone: Vec<_> = traces.iter().map(EngineTrace::what).collect();
                format!("gone: {}", gone.join(", "))
            }
        }
    }

    pub(super) fn undoing(&self) -> &'static str {
        match self {
            Self::Enable => "docker does not start at boot",
            Self::LoadImages { .. } | Self::PullImages { .. } => "the images are removed",
            Self::MakeSwarm { .. } => "the swarm is left",
            Self::MakeNetwork { replaces: None, .. } => "the network is removed",
            Self::MakeNetwork { .. } => "the network gets its old range",
            Self::WriteStack { replaces: true, .. } => "the old file is put back",
            Self::WriteStack { replaces: false, .. } => "the file is removed",
            Self::Deploy { is_first: true, .. } => "the services are removed",
            Self::Deploy { .. } => "the services are deployed as they were",
            Self::RemoveServices { .. } => "the services are deployed again",
            Self::Leave(_) => "all of it stays until all else is done",
        }
    }
}

impl Draft {
    fn render(&self, system: &mut dyn System) -> anyhow::Result<String> {
        let mut services = self.services.clone();
        for service in &mut services {
            service.image = system.image_id(&service.image)?;
        }
        let stack = Stack {
            paths: self.paths.clone(),
            account: system.account()?,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            authorities: layout::host_authorities(&self.paths),
        };
        let text = match &self.compose {
            Some(compose) => stack.overlay(&services, &compose.text()),
            None => stack.render(&services).map_err(Into::into),
        };
        text.context("failed to write the stack file")
    }
}

impl EngineTrace {
    pub(super) fn undo(&self, paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::Enabled => system.set_engine_at_boot(false),
            Self::NewImages(names) => system.remove_images(names),
            Self::NewSwarm => system.leave_swarm(),
            Self::NewNetwork => system.remove_network(),
            Self::WasNetwork(network) => {
                system.remove_network()?;
                system.make_network(*network)
            }
            Self::NewServices => {
                system.remove_services()?;
                let left = layout::run_files(paths);
                left.iter().try_for_each(|file| system.delete(file))
            }
            Self::Deployed(files, roles) => {
                system.deploy(files)?;
                live::wait_back(paths, roles, system)
            }
            Self::ImagesGo(_) | Self::NetworkGoes | Self::SwarmGoes => Ok(()),
        }
    }

    pub(super) fn finish(&self, system: &mut dyn System) -> anyhow::Result<()> {
        match self {
            Self::ImagesGo(names) => system.remove_images(names),
            Self::NetworkGoes => system.remove_network(),
            Self::SwarmGoes => system.leave_swarm(),
            _ => Ok(()),
        }
    }

    pub(super) fn undoing_by_hand(&self) -> String {
        match self {
            Self::Enabled => "run `systemctl disable docker`".to_owned(),
            Self::NewImages(names) => format!("run `docker rmi {}`", names.join(" ")),
            Self::NewSwarm => "run `docker swarm leave --force`".to_owned(),
            Self::NewNetwork => format!("run `docker network rm {NETWORK}`"),
            Self::WasNetwork(network) => format!(
                "run `docker network rm {NETWORK}` and `docker network create --driver overlay \
                 --attachable --subnet {network} {NETWORK}`"
            ),
            Self::NewServices => format!("run `docker stack rm {}`", cmsg_engine::STACK),
            Self::Deployed(files, _) => {
                let files: Vec<_> = files.iter().map(|f| format!("-c {}", f.display())).collect();
                let set = if files.len() > 1 {
                    " with `PCOIP_CM_IMAGE` and `PCOIP_SG_IMAGE` set to the labels \
                     `pcoip-cmsg.image` of the second file"
                } else {
                    ""
                };
                format!(
                    "run `docker stack deploy --resolve-image never {} {}`{set}",
                    files.join(" "),
                    cmsg_engine::STACK
                )
            }
            Self::ImagesGo(_) | Self::NetworkGoes | Self::SwarmGoes => "do nothing".to_owned(),
        }
    }

    pub(super) fn finishing_by_hand(&self) -> String {
        match self {
            Self::ImagesGo(names) => format!("run `docker rmi {}`", names.join(" ")),
            Self::NetworkGoes => format!("run `docker network rm {NETWORK}`"),
            Self::SwarmGoes => "run `docker swarm leave --force`".to_owned(),
            _ => "do nothing".to_owned(),
        }
    }

    fn what(&self) -> String {
        match self {
            Self::ImagesGo(names) => names.join(", "),
            Self::NetworkGoes => format!("the network {NETWORK}"),
            _ => "the swarm of this host".to_owned(),
        }
    }
}

/// The files that make up the stack, in their order.
pub(crate) fn stack_files(paths: &Paths, has_compose_file: bool) -> Vec<PathBuf> {
    let compose = has_compose_file.then(|| layout::compose_file(paths));
    compose.into_iter().chain([layout::stack(paths)]).collect()
}
