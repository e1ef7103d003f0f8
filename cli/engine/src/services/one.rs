//! A single service: made to start again, removed, waited for, without the other.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bollard::query_parameters::ListContainersOptions;

use super::run;
use crate::{Engine, unless_absent};

/// The label that a swarm gives the containers of a service.
const SERVICE: &str = "com.docker.swarm.service.name";
/// The engine does not tell when a container is gone.
const AGAIN: Duration = Duration::from_millis(100);

/// A container that runs for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// What the engine calls it.
    pub container: String,
    /// What the engine calls the image that it runs.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Has a service of that name, e.g. `pcoipcm_cm`, start its task again as it is; the others go on.
    ///
    /// That `docker` command does it: bollard 0.21 loses a service's health check on its way back.
    ///
    /// # Errors
    ///
    /// What Docker's command says, e.g. that there is none.
    pub fn restart_service(&self, docker: &Path, name: &str) -> anyhow::Result<()> {
        let mut command = self.command(docker);
        command.args(["service", "update", "--force", "--detach", "--no-resolve-image", name]);
        run(command, "docker service update")
    }

    /// Sets how many tasks a service has; 0 stops it and keeps what it is.
    ///
    /// # Errors
    ///
    /// What Docker's command says, e.g. that there is none.
    pub fn scale_service(&self, docker: &Path, name: &str, tasks: u32) -> anyhow::Result<()> {
        let mut command = self.command(docker);
        command.args(["service", "scale", "--detach", &format!("{name}={tasks}")]);
        run(command, "docker service scale")
    }

    /// Removes a service; one that is not there stays away. Its containers go on their own.
    ///
    /// # Errors
    ///
    /// Where the engine refuses.
    pub fn remove_service(&self, name: &str) -> anyhow::Result<()> {
        let removed = self.runtime.block_on(self.docker.delete_service(name));
        unless_absent(removed).with_context(|| format!("removing the service `{name}`"))
    }

    /// Waits until no container of a removed service is left, and tells whether that came to be in
    /// time. Only then can its image be removed.
    ///
    /// # Errors
    ///
    /// Where the engine does not answer.
    pub fn wait_gone(&self, name: &str, time: Duration) -> anyhow::Result<bool> {
        self.wait_without(name, None, time)
    }

    /// Waits until no container of a service runs, and tells whether that came to be in time. Those
    /// that have ended may be kept for their logs.
    ///
    /// # Errors
    ///
    /// Where the engine does not answer.
    pub fn wait_stopped(&self, name: &str, time: Duration) -> anyhow::Result<bool> {
        self.wait_without(name, Some("running"), time)
    }

    /// The containers that run for a service.
    ///
    /// # Errors
    ///
    /// Where the engine does not answer.
    pub fn running(&self, name: &str) -> anyhow::Result<Vec<Running>> {
        let options = of_service(name, Some("running"));
        let containers = self.runtime.block_on(self.docker.list_containers(Some(options)));
        let containers =
            containers.with_context(|| format!("asking for containers of `{name}`"))?;
        Ok(containers
            .into_iter()
            .map(|container| Running {
                container: container.id.unwrap_or_default(),
                image: container.image_id.unwrap_or_default(),
                labels: container.labels.into_iter().flatten().collect(),
            })
            .collect())
    }

    fn wait_without(
        &self,
        name: &str,
        status: Option<&str>,
        time: Duration,
    ) -> anyhow::Result<bool> {
        let begun = Instant::now();
        self.runtime.block_on(async {
            loop {
                let left = self.docker.list_containers(Some(of_service(name, status))).await;
                if left.with_context(|| format!("asking for containers of `{name}`"))?.is_empty() {
                    return Ok(true);
                }
                if begun.elapsed() > time {
                    return Ok(false);
                }
                tokio::time::sleep(AGAIN).await;
            }
        })
    }
}

fn of_service(name: &str, status: Option<&str>) -> ListContainersOptions {
    let mut filters = HashMap::from([("label".to_owned(), vec![format!("{SERVICE}={name}")])]);
    if let Some(status) = status {
        filters.insert("status".to_owned(), vec![status.to_owned()]);
    }
    ListContainersOptions { all: true, filters: Some(filters), ..ListContainersOptions::default() }
}
