//! Operations on a single service: restart, scale, remove, wait.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bollard::query_parameters::ListContainersOptions;

use super::run;
use crate::{Engine, unless_absent};

/// Label that Swarm sets on the containers of a service.
const SERVICE: &str = "com.docker.swarm.service.name";
/// How often to check whether a container was removed, since the engine does not report it.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub container: String,
    /// Id of the image.
    pub image: String,
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Restarts the task of a service, for example `pcoipcm_cm`, without changing it.
    ///
    /// Uses the `docker` command, since bollard 0.21 loses the health check of a service.
    ///
    /// # Errors
    ///
    /// The output of the `docker` command, for example that the service does not exist.
    pub fn restart_service(&self, docker: &Path, name: &str) -> anyhow::Result<()> {
        let mut command = self.command(docker);
        command.args(["service", "update", "--force", "--detach", "--no-resolve-image", name]);
        run(command, "docker service update")
    }

    /// Sets the number of tasks of a service. 0 stops it and keeps its configuration.
    ///
    /// # Errors
    ///
    /// The output of the `docker` command, for example that the service does not exist.
    pub fn scale_service(&self, docker: &Path, name: &str, tasks: u32) -> anyhow::Result<()> {
        let mut command = self.command(docker);
        command.args(["service", "scale", "--detach", &format!("{name}={tasks}")]);
        run(command, "docker service scale")
    }

    /// Removes a service. Succeeds if it does not exist. The engine removes its containers
    /// afterwards.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    pub fn remove_service(&self, name: &str) -> anyhow::Result<()> {
        let removed = self.runtime.block_on(self.docker.delete_service(name));
        unless_absent(removed).with_context(|| format!("removing the service `{name}`"))
    }

    /// Waits until a removed service has no containers left, after which its image can be removed.
    /// Returns false on timeout.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn wait_gone(&self, name: &str, time: Duration) -> anyhow::Result<bool> {
        self.wait_without(name, None, time)
    }

    /// Waits until no container of a service runs. Stopped ones may be kept for their logs. Returns
    /// false on timeout.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn wait_stopped(&self, name: &str, time: Duration) -> anyhow::Result<bool> {
        self.wait_without(name, Some("running"), time)
    }

    /// The running containers of a service.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn running(&self, name: &str) -> anyhow::Result<Vec<Running>> {
        let options = of_service(name, Some("running"));
        let containers = self.runtime.block_on(self.docker.list_containers(Some(options)));
        let containers =
            containers.with_context(|| format!("listing the containers of `{name}`"))?;
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
                if left.with_context(|| format!("listing the containers of `{name}`"))?.is_empty() {
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
