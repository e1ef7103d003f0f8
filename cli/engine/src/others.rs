//! A stack with our name that somebody else deployed: its current state, and a file that deploys it
//! again.

mod compose;
mod fields;

use std::{collections::BTreeSet, path::Path, process::Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::{
    Engine, STACK, ServiceFact,
    services::{NAMESPACE, SAID},
    words::plain,
};

pub use compose::Written;

/// The stack. Its environment may contain passwords, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Others {
    /// The services, as printed by `docker service inspect`.
    pub services: Vec<Value>,
    /// Their networks and those of the stack, as printed by `docker network inspect`.
    pub networks: Vec<Value>,
    /// Ids of their running containers.
    pub containers: Vec<String>,
}

impl std::fmt::Debug for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} services, {} networks", self.services.len(), self.networks.len())
    }
}

/// Whether a service belongs to a stack with our name that the installer did not create.
#[must_use]
pub fn is_others(service: &ServiceFact) -> bool {
    service.stack.as_deref() == Some(STACK) && !service.is_ours
}

impl Engine {
    /// Reads services and their networks with the `docker` command, since bollard 0.21 does not
    /// support all fields of a service.
    ///
    /// # Errors
    ///
    /// The output of the `docker` command.
    pub fn others(&self, docker: &Path, services: &[&ServiceFact]) -> anyhow::Result<Others> {
        let names: Vec<_> = services.iter().map(|service| service.name.clone()).collect();
        let services = self.inspect(docker, "service", &names)?;
        let mut networks: BTreeSet<String> =
            services.iter().flat_map(compose::network_ids).map(str::to_owned).collect();
        let label = format!("label={NAMESPACE}={STACK}");
        let words = ["network", "ls", "--quiet", "--no-trunc", "--filter", &label];
        let listed = self.output(docker, &words.map(str::to_owned))?;
        networks.extend(listed.lines().map(str::to_owned));
        let networks: Vec<_> = networks.into_iter().collect();
        let mut containers = Vec::new();
        for name in &names {
            containers.extend(self.running(name)?.into_iter().map(|running| running.container));
        }
        Ok(Others { services, networks: self.inspect(docker, "network", &networks)?, containers })
    }

    /// Removes networks by name. Succeeds for those that do not exist.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    pub fn remove_networks(&self, names: &[String]) -> anyhow::Result<()> {
        names.iter().try_for_each(|name| self.remove_network(name))
    }

    fn inspect(&self, docker: &Path, kind: &str, names: &[String]) -> anyhow::Result<Vec<Value>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let words = [kind, "inspect", "--"].map(str::to_owned);
        let output = self.output(docker, &[&words, names].concat())?;
        serde_json::from_str(&output)
            .with_context(|| format!("reading the output of `docker {kind} inspect`"))
    }

    fn output(&self, docker: &Path, words: &[String]) -> anyhow::Result<String> {
        let called = format!("docker {} {}", words[0], words[1]);
        let mut command = self.command(docker);
        command.args(words).stdin(Stdio::null());
        let output = command.output().with_context(|| format!("starting `{called}`"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("`{called}` failed: {}", plain(&said, SAID));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
