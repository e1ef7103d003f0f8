//! The stack: deployed with the `docker` command, which supports every key of a compose file;
//! queried and removed by its label.

mod failures;
mod one;

use std::{
    collections::HashMap,
    ffi::OsStr,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};
use bollard::{
    container::LogOutput,
    query_parameters::{
        ListContainersOptions, ListServicesOptions, LogsOptions, RemoveContainerOptions,
    },
};
use futures_util::TryStreamExt as _;

use crate::{Engine, STACK, unless_absent, words::plain};

pub use failures::Failure;
pub use one::Running;

/// Label that `docker stack deploy` sets on all objects of a stack.
pub(super) const NAMESPACE: &str = "com.docker.stack.namespace";
/// Maximum size of a failed command's output that is shown, in bytes.
pub(super) const SAID: usize = 1024;

impl Engine {
    /// Deploys stack files with the `docker` command; later files override earlier ones. Images are
    /// not pulled, since they exist already.
    ///
    /// # Errors
    ///
    /// The output of the `docker` command.
    pub fn deploy(&self, docker: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
        self.deploy_with(docker, files, &[])
    }

    /// Deploys stack files with these values of their variables, for example for images. Services
    /// that are unchanged keep running.
    ///
    /// # Errors
    ///
    /// The output of the `docker` command.
    pub fn deploy_with(
        &self,
        docker: &Path,
        files: &[PathBuf],
        variables: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let mut command = self.command(docker);
        command.envs(variables.iter().copied());
        command.args(["stack", "deploy", "--resolve-image", "never", "--prune"]);
        command.args(files.iter().flat_map(|file| [OsStr::new("--compose-file"), file.as_ref()]));
        command.arg(STACK);
        run(command, "docker stack deploy")
    }

    /// The `docker` command for this engine.
    pub(super) fn command(&self, docker: &Path) -> Command {
        let mut command = Command::new(docker);
        command.env("DOCKER_HOST", &self.address);
        command
    }

    /// Removes the services of the stack. Their containers are removed by the engine afterwards.
    ///
    /// # Errors
    ///
    /// If the engine refuses.
    pub fn remove_services(&self) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let options =
                ListServicesOptions { filters: Some(of_stack()), ..ListServicesOptions::default() };
            let services = self.docker.list_services(Some(options)).await;
            for service in services.context("listing the stack's services")? {
                let Some(id) = service.id else { continue };
                let removed = self.docker.delete_service(&id).await;
                unless_absent(removed).context("removing a service of the stack")?;
            }
            Ok(())
        })
    }

    /// Removes stopped containers of the stack. Swarm keeps those of former tasks for a while, and
    /// their images cannot be removed until then.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn remove_ended(&self) -> anyhow::Result<()> {
        let mut filters = of_stack();
        let ended = ["created", "exited", "dead"].map(str::to_owned);
        filters.insert("status".to_owned(), ended.into());
        let options = ListContainersOptions {
            all: true,
            filters: Some(filters),
            ..ListContainersOptions::default()
        };
        self.runtime.block_on(async {
            let containers = self.docker.list_containers(Some(options)).await;
            for container in containers.context("listing the stack's stopped containers")? {
                // Swarm may remove the container at the same time.
                let id = container.id.unwrap_or_default();
                let _ = self.docker.remove_container(&id, None::<RemoveContainerOptions>).await;
            }
            Ok(())
        })
    }

    /// Number of containers of the stack, including stopped ones.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn containers(&self) -> anyhow::Result<usize> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(of_stack()),
            ..ListContainersOptions::default()
        };
        let containers = self.runtime.block_on(self.docker.list_containers(Some(options)));
        Ok(containers.context("listing the stack's containers")?.len())
    }

    /// The last log lines of a service's tasks.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn log_tail(&self, service: &str, lines: usize) -> anyhow::Result<Vec<String>> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: lines.min(failures::MOST_LINES).to_string(),
            ..LogsOptions::default()
        };
        let said = self.docker.service_logs(service, Some(options));
        let said: Vec<LogOutput> = self
            .runtime
            .block_on(said.try_collect())
            .with_context(|| format!("reading the log of `{service}`"))?;
        Ok(said.iter().map(failures::line).collect())
    }
}

/// Runs a command. If it fails, the error contains the beginning of its output.
fn run(mut command: Command, called: &str) -> anyhow::Result<()> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting `{called}`"))?;
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.by_ref().take(SAID as u64).read_to_end(&mut said).context("reading its output")?;
        std::io::copy(&mut stderr, &mut std::io::sink()).context("reading its output")?;
    }
    if !child.wait().with_context(|| format!("waiting for `{called}`"))?.success() {
        bail!("`{called}` failed: {}", plain(&String::from_utf8_lossy(&said), SAID));
    }
    Ok(())
}

fn of_stack() -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{NAMESPACE}={STACK}")])])
}
