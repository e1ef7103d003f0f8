//! Effects on the Docker engine.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use cmsg_config::socket::Role;
use cmsg_engine::{
    Credentials, Engine, EngineFacts, Failure, Pull, Pulling, SwarmFact,
    archive::Source,
    has_answered,
    stack::{NETWORK, service_name, variables},
};
use ipnet::Ipv4Net;

use super::Real;
use crate::{
    host::engine,
    installation::account,
    runtime::units,
    system::{Awaited, Who},
    trusted,
};

/// A container that is told to end has 20 seconds for it.
const GONE: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(50);
/// Where a swarm of ours stands.
const LOOPBACK: &str = "127.0.0.1";
/// So many lines of a role's log are shown.
const TAIL: usize = 8;

/// What steps do to the engine. Everything may be done twice.
pub(crate) trait EngineSystem {
    /// Has systemd start the engine at boot, or not.
    fn set_engine_at_boot(&mut self, starts: bool) -> anyhow::Result<()>;

    /// Loads the images of an archive.
    fn load_images(&mut self, archive: &Source) -> anyhow::Result<()>;

    /// Pulls the image of a role and of this version from a registry.
    fn pull_image(&mut self, registry: &str, role: Role, who: Option<&Who>) -> anyhow::Result<()>;

    /// Removes images by their names, as soon as no container uses them.
    fn remove_images(&mut self, names: &[String]) -> anyhow::Result<()>;

    /// What the engine calls an image.
    fn image_id(&mut self, name: &str) -> anyhow::Result<String>;

    /// The numbers of the user and the group that run the roles.
    fn account(&mut self) -> anyhow::Result<(u32, u32)>;

    /// Makes a swarm of this host alone.
    fn make_swarm(&mut self, pool: Ipv4Net) -> anyhow::Result<()>;

    /// Leaves the swarm that was made here.
    fn leave_swarm(&mut self) -> anyhow::Result<()>;

    /// Makes the network of the stack.
    fn make_network(&mut self, network: Ipv4Net) -> anyhow::Result<()>;

    fn remove_network(&mut self) -> anyhow::Result<()>;

    /// Removes networks by name, as soon as no container uses them.
    fn remove_networks(&mut self, names: &[String]) -> anyhow::Result<()>;

    /// Brings the stack to what these files say, a later one on top of those before it.
    fn deploy(&mut self, files: &[PathBuf]) -> anyhow::Result<()>;

    /// Removes the services of the stack, and waits until their containers are gone.
    fn remove_services(&mut self) -> anyhow::Result<()>;

    /// When the tasks of a role failed, newest first, as far as the engine remembers.
    fn failed_at(&mut self, role: Role) -> Vec<String>;

    /// Why roles do not run, and the last lines that they said, as the engine has it.
    fn service_tail(&mut self, roles: &[Awaited]) -> Vec<String>;
}

impl Real {
    /// The engine, connected when it is first needed.
    fn engine(&mut self) -> anyhow::Result<&Engine> {
        if self.engine.is_none() {
            self.engine = Some(engine::connect()?);
        }
        self.engine.as_ref().context("Docker is connected")
    }

    fn until_gone(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.engine()?.containers()? > 0 {
            // Those of a swarm that this host has left belong to nobody.
            self.engine()?.remove_ended()?;
            if begun.elapsed() > GONE {
                anyhow::bail!("the stack's containers did not stop");
            }
            self.interrupt.wait(EVERY);
        }
        Ok(())
    }

    /// Removes something that the engine does not let go of for a moment: containers that have just
    /// ended still use it. An engine that does not answer is not asked again.
    fn remove(&mut self, remove: impl Fn(&Engine) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let begun = Instant::now();
        while let Err(error) = remove(self.engine()?) {
            if !has_answered(&error) || begun.elapsed() > GONE {
                return Err(error);
            }
            self.interrupt.wait(EVERY);
        }
        Ok(())
    }

    fn swarm(&mut self) -> anyhow::Result<SwarmFact> {
        Ok(self.engine()?.facts()?.swarm)
    }
}

impl EngineSystem for Real {
    fn set_engine_at_boot(&mut self, starts: bool) -> anyhow::Result<()> {
        units::set_engine_at_boot(starts)
    }

    fn load_images(&mut self, archive: &Source) -> anyhow::Result<()> {
        let file = archive.open().and_then(|file| file.metadata());
        let total = file.map_or(0, |metadata| metadata.len());
        let progress = self.progress();
        self.engine()?.load_images(archive, move |done| progress.bytes(done, total))
    }

    fn pull_image(&mut self, registry: &str, role: Role, who: Option<&Who>) -> anyhow::Result<()> {
        let credentials = who.map(|who| Credentials {
            user: who.user.clone(),
            password: who.password.text().into(),
        });
        let credentials = credentials.as_ref();
        let pull = Pull { registry, role, version: env!("CARGO_PKG_VERSION"), credentials };
        self.engine()?;
        let Self { engine, interrupt, progress, .. } = self;
        let engine = engine.as_ref().context("Docker is connected")?;
        let pulled = engine.pull(&pull, &mut |news| {
            if let Pulling::Progress { there, all } = news {
                progress.bytes(there, all);
            }
            let is_over = interrupt.wait(Duration::ZERO);
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        Ok(pulled.map(drop)?)
    }

    fn remove_images(&mut self, names: &[String]) -> anyhow::Result<()> {
        names.iter().try_for_each(|name| {
            self.remove(|engine| {
                let removed = engine.remove_image(name).or_else(|_| {
                    engine.remove_ended()?;
                    engine.remove_image(name)
                });
                match removed {
                    // It is theirs now.
                    Err(why) if has_answered(&why) && engine.is_used_by_others(name)? => Ok(()),
                    removed => removed,
                }
            })
        })
    }

    fn image_id(&mut self, name: &str) -> anyhow::Result<String> {
        let id = self.engine()?.image_id(name)?;
        id.with_context(|| format!("Docker has no image `{name}`"))
    }

    fn account(&mut self) -> anyhow::Result<(u32, u32)> {
        let account::Ids { user, group } = account::numbers()?;
        Ok((user, group))
    }

    fn make_swarm(&mut self, pool: Ipv4Net) -> anyhow::Result<()> {
        self.engine()?.make_swarm(&pool.to_string())
    }

    fn leave_swarm(&mut self) -> anyhow::Result<()> {
        let engine = self.engine()?;
        if may_leave(&engine.facts()?) { engine.leave_swarm() } else { Ok(()) }
    }

    fn make_network(&mut self, network: Ipv4Net) -> anyhow::Result<()> {
        self.engine()?.make_network(NETWORK, &network.to_string())
    }

    fn remove_network(&mut self) -> anyhow::Result<()> {
        self.remove_networks(&[NETWORK.to_owned()])
    }

    fn remove_networks(&mut self, names: &[String]) -> anyhow::Result<()> {
        self.remove(|engine| engine.remove_networks(names))
    }

    fn deploy(&mut self, files: &[PathBuf]) -> anyhow::Result<()> {
        // What an older version of ours deployed comes back with the images that it had.
        let read = |path: &PathBuf| {
            let file = trusted::read(path).context("reading the stack")?;
            let file = file.with_context(|| format!("`{}` is gone", path.display()))?;
            anyhow::Ok(file.content.text())
        };
        let texts = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let variables = variables(texts.last().map_or("", String::as_str));
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.engine()?.deploy_with(Path::new("docker"), files, &variables)
    }

    fn remove_services(&mut self) -> anyhow::Result<()> {
        if !matches!(self.swarm()?, SwarmFact::Manager { .. }) {
            return Ok(());
        }
        self.engine()?.remove_services()?;
        self.until_gone()
    }

    fn failed_at(&mut self, role: Role) -> Vec<String> {
        let failed = self.engine().and_then(|engine| engine.failed_at(&service_name(role)));
        failed.unwrap_or_default()
    }

    fn service_tail(&mut self, roles: &[Awaited]) -> Vec<String> {
        let Ok(engine) = self.engine() else { return Vec::new() };
        let tail = |awaited: &Awaited| {
            let service = service_name(awaited.role);
            let deployment = awaited.deployment.as_deref();
            match engine.last_failure(&service, deployment, TAIL) {
                Ok(Some(failure)) => told(&service, failure),
                _ => engine.log_tail(&service, TAIL).unwrap_or_default(),
            }
        };
        roles.iter().flat_map(tail).collect()
    }
}

/// What the engine says of a task that failed, before what the task said.
fn told(service: &str, failure: Failure) -> Vec<String> {
    let said = match failure.exit_code {
        _ if !failure.error.is_empty() => failure.error,
        Some(code) => format!("it ended with {code}"),
        None => failure.state,
    };
    let first = format!("docker about {service}: {said}");
    [first].into_iter().chain(failure.log).collect()
}

/// Whether this host's swarm is the one that was made here. An engine that was killed while it made
/// one has it without our label: on the loopback, with nothing in it.
fn may_leave(engine: &EngineFacts) -> bool {
    let is_alone = || engine.node.as_ref().is_some_and(|node| node.address == LOOPBACK);
    match engine.swarm {
        SwarmFact::Manager { is_ours: true, .. } => engine.others.is_empty(),
        SwarmFact::Manager { is_ours: false, nodes: 1 } => is_alone() && engine.services.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use cmsg_engine::{Availability, NodeFact, ServiceFact};

    use super::*;

    #[test]
    fn a_swarm_is_left_where_it_is_ours_or_was_just_being_made() {
        let engine = |is_ours, nodes, address: &str, services: usize| EngineFacts {
            swarm: SwarmFact::Manager { is_ours, nodes },
            node: Some(NodeFact {
                name: "n".to_owned(),
                availability: Availability::Active,
                is_ready: true,
                address: address.to_owned(),
            }),
            services: vec![ServiceFact::default(); services],
            ..EngineFacts::default()
        };
        let table = [
            (engine(true, 1, "192.0.2.1", 2), true),
            (engine(false, 1, LOOPBACK, 0), true),
            (engine(false, 1, LOOPBACK, 1), false),
            (engine(false, 2, LOOPBACK, 0), false),
            (engine(false, 1, "192.0.2.1", 0), false),
            (
                EngineFacts {
                    others: vec!["secret theirs".to_owned()],
                    ..engine(true, 1, "192.0.2.1", 0)
                },
                false,
            ),
            (EngineFacts { swarm: SwarmFact::Worker, ..engine(true, 1, LOOPBACK, 0) }, false),
            (EngineFacts::default(), false),
        ];
        for (engine, expected) in table {
            assert_eq!(may_leave(&engine), expected, "{engine:?}");
        }
    }
}
