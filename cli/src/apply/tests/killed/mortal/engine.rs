//! An engine that outlives the process.

use std::{fs, path::PathBuf};

use cmsg_config::socket::Role;
use cmsg_engine::{archive::Source, reference};
use ipnet::Ipv4Net;

use super::{Host, Mortal};
use crate::system::{Awaited, EngineSystem, Who};

impl EngineSystem for Mortal<'_> {
    fn set_engine_at_boot(&mut self, _: bool) -> anyhow::Result<()> {
        self.act(|_| Ok(()), |_| ())
    }

    fn load_images(&mut self, archive: &Source) -> anyhow::Result<()> {
        let load = |host: &mut Host| -> anyhow::Result<()> {
            host.engine.load(&fs::read_to_string(archive.path())?);
            Ok(())
        };
        self.act(load, |host| drop(load(host)))
    }

    fn pull_image(&mut self, registry: &str, role: Role, _: Option<&Who>) -> anyhow::Result<()> {
        let name = reference(registry, role, env!("CARGO_PKG_VERSION"));
        let pull = |host: &mut Host| {
            host.engine.images.insert(name.clone());
            Ok(())
        };
        self.act(pull, |_| ())
    }

    fn remove_images(&mut self, names: &[String]) -> anyhow::Result<()> {
        self.act(|host| host.engine.remove(names), |host| drop(host.engine.remove(&names[..1])))
    }

    fn image_id(&mut self, name: &str) -> anyhow::Result<String> {
        self.host.engine.id(name)
    }

    fn account(&mut self) -> anyhow::Result<(u32, u32)> {
        Ok((977, 976))
    }

    fn make_swarm(&mut self, pool: Ipv4Net) -> anyhow::Result<()> {
        let make = |host: &mut Host| host.engine.swarm = Some(pool);
        self.all(make)
    }

    fn leave_swarm(&mut self) -> anyhow::Result<()> {
        let leave = |host: &mut Host| host.engine.swarm = None;
        self.all(leave)
    }

    fn make_network(&mut self, network: Ipv4Net) -> anyhow::Result<()> {
        let make = |host: &mut Host| host.engine.make_network(network);
        self.act(make, |host| drop(make(host)))
    }

    fn remove_network(&mut self) -> anyhow::Result<()> {
        let remove = |host: &mut Host| host.engine.network = None;
        self.all(remove)
    }

    fn remove_networks(&mut self, names: &[String]) -> anyhow::Result<()> {
        self.all(|host| host.engine.others.retain(|name| !names.contains(name)))
    }

    fn deploy(&mut self, files: &[PathBuf]) -> anyhow::Result<()> {
        let deploy = |host: &mut Host| {
            host.engine.deploy(files, |path| fs::read_to_string(path).ok())?;
            let has = |role: &Role| {
                host.engine.services.values().any(|text| text.contains(role.command()))
            };
            host.roles = [Role::Cm, Role::Sg].into_iter().filter(has).map(Role::command).collect();
            Ok(())
        };
        self.act(deploy, |host| drop(deploy(host)))
    }

    fn remove_services(&mut self) -> anyhow::Result<()> {
        let remove = |host: &mut Host| {
            host.engine.services.clear();
            host.roles.clear();
        };
        self.all(remove)
    }

    fn failed_at(&mut self, _role: Role) -> Vec<String> {
        Vec::new()
    }

    fn service_tail(&mut self, _roles: &[Awaited]) -> Vec<String> {
        Vec::new()
    }
}
