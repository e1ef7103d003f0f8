//! Why a service is crash-looping: the engine's error of its last task, and the task's log.

use std::collections::HashMap;

use anyhow::Context as _;
use bollard::{
    container::LogOutput,
    errors::Error,
    models::{Task, TaskState},
    query_parameters::{ListTasksOptions, LogsOptions},
};
use cmsg_config::socket::DEPLOYMENT;
use futures_util::TryStreamExt as _;

use crate::{Engine, unless_absent, words::plain};

/// Maximum number of log lines that are requested.
pub(super) const MOST_LINES: usize = 200;
/// Maximum length of a log line that is shown.
pub(super) const LINE: usize = 500;

/// A task that stopped although it should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Time, as the engine writes it.
    pub when: String,
    /// State of the task, for example `failed`, or `rejected` if it did not start.
    pub state: String,
    /// Exit code of its process, if there was one.
    pub exit_code: Option<i64>,
    /// Error of the engine, for example `starting container failed: …`.
    pub error: String,
    /// Last lines of the newest existing container with a log.
    pub log: Vec<String>,
}

impl Engine {
    /// When tasks of a service, for example `pcoipcm_cm`, stopped although they should run, newest
    /// first, as strings that sort by time. The engine remembers a few.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn failed_at(&self, service: &str) -> anyhow::Result<Vec<String>> {
        Ok(self.runtime.block_on(self.failed(service))?.iter().map(when).collect())
    }

    /// The last task of a service that stopped although it should run, with its last log lines.
    /// Only tasks of `deployment` count if it is given. `None` if there is no such task.
    ///
    /// # Errors
    ///
    /// If the engine does not answer.
    pub fn last_failure(
        &self,
        service: &str,
        deployment: Option<&str>,
        lines: usize,
    ) -> anyhow::Result<Option<Failure>> {
        self.runtime.block_on(async {
            let mut failed = self.failed(service).await?;
            failed.retain(|task| deployment.is_none_or(|name| is_of(task, name)));
            let Some(mut failure) = failed.first().map(failure) else { return Ok(None) };
            for container in failed.iter().filter_map(container) {
                failure.log = self
                    .last_words(container, lines)
                    .await
                    .with_context(|| format!("reading the log of `{service}`"))?;
                if !failure.log.is_empty() {
                    break;
                }
            }
            Ok(Some(failure))
        })
    }

    async fn failed(&self, service: &str) -> anyhow::Result<Vec<Task>> {
        let filters = HashMap::from([("service".to_owned(), vec![service.to_owned()])]);
        let options = ListTasksOptions { filters: Some(filters) };
        let tasks = unless_absent(self.docker.list_tasks(Some(options)).await);
        let tasks = tasks.with_context(|| format!("listing the tasks of `{service}`"))?;
        Ok(newest_first(tasks))
    }

    /// The last log lines of a container; empty if it was removed or has no log.
    async fn last_words(&self, container: &str, lines: usize) -> Result<Vec<String>, Error> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            tail: lines.min(MOST_LINES).to_string(),
            ..LogsOptions::default()
        };
        let said: Result<Vec<LogOutput>, Error> =
            self.docker.logs(container, Some(options)).try_collect().await;
        match said {
            Err(Error::DockerResponseServerError { status_code: 404 | 409 | 501, .. }) => {
                Ok(Vec::new())
            }
            said => Ok(said?.iter().map(line).filter(|line| !line.is_empty()).collect()),
        }
    }
}

/// A log line, safe for a terminal.
pub(super) fn line(said: &LogOutput) -> String {
    plain(&said.to_string(), LINE)
}

fn newest_first(mut tasks: Vec<Task>) -> Vec<Task> {
    tasks.retain(|task| {
        let state = task.status.as_ref().and_then(|status| status.state);
        matches!(
            state,
            Some(
                TaskState::FAILED | TaskState::REJECTED | TaskState::ORPHANED | TaskState::COMPLETE
            )
        )
    });
    tasks.sort_by_key(|task| std::cmp::Reverse(when(task)));
    tasks
}

/// The engine omits trailing zeros of fractions of seconds.
fn when(task: &Task) -> String {
    let when = task.status.as_ref().and_then(|status| status.timestamp.clone());
    when.unwrap_or_default().trim_end_matches('Z').to_owned()
}

fn is_of(task: &Task, deployment: &str) -> bool {
    let container = task.spec.as_ref().and_then(|spec| spec.container_spec.as_ref());
    let environment = container.and_then(|container| container.env.as_deref()).unwrap_or_default();
    environment.iter().any(|line| line.split_once('=') == Some((DEPLOYMENT, deployment)))
}

fn failure(task: &Task) -> Failure {
    let status = task.status.clone().unwrap_or_default();
    let exit_code = container(task).and(status.container_status);
    Failure {
        when: status.timestamp.unwrap_or_default(),
        state: status.state.map(|state| state.to_string()).unwrap_or_default(),
        exit_code: exit_code.and_then(|status| status.exit_code),
        error: plain(&status.err.unwrap_or_default(), LINE),
        log: Vec::new(),
    }
}

/// The id of the task's container. A task that did not start has none, or an empty one.
fn container(task: &Task) -> Option<&str> {
    let status = task.status.as_ref()?.container_status.as_ref()?;
    status.container_id.as_deref().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use bollard::models::{ContainerStatus, TaskSpec, TaskSpecContainerSpec, TaskStatus};

    use super::*;

    fn task(state: TaskState, when: &str, error: &str) -> Task {
        let container = ContainerStatus {
            container_id: Some("c".to_owned()),
            exit_code: Some(78),
            ..ContainerStatus::default()
        };
        let status = TaskStatus {
            state: Some(state),
            timestamp: Some(when.to_owned()),
            err: Some(error.to_owned()),
            container_status: Some(container),
            ..TaskStatus::default()
        };
        Task { status: Some(status), ..Task::default() }
    }

    #[test]
    fn the_newest_failed_task_is_reported() {
        let tasks = vec![
            task(TaskState::FAILED, "2026-01-01T00:00:02.1Z", "older"),
            task(TaskState::FAILED, "2026-01-01T00:00:02.12Z", "newest\u{1b}[1m"),
            task(TaskState::RUNNING, "2026-01-01T00:00:03Z", ""),
            task(TaskState::SHUTDOWN, "2026-01-01T00:00:04Z", ""),
        ];

        let failed = newest_first(tasks);

        assert_eq!(failed.len(), 2);
        let told = failure(&failed[0]);
        assert_eq!((told.error.as_str(), told.exit_code), ("newest [1m", Some(78)));
        assert_eq!(told.state, "failed");
        assert_eq!(container(&failed[0]), Some("c"));
    }

    #[test]
    fn a_tasks_environment_names_its_deployment() {
        let env = ["A=1", "PCOIP_CMSG_DEPLOYMENT=new"].map(str::to_owned).to_vec();
        let container =
            TaskSpecContainerSpec { env: Some(env), ..TaskSpecContainerSpec::default() };
        let spec = TaskSpec { container_spec: Some(container), ..TaskSpec::default() };
        let task = Task { spec: Some(spec), ..Task::default() };

        assert!(is_of(&task, "new"));
        assert!(!is_of(&task, "ne") && !is_of(&task, "1") && !is_of(&Task::default(), "new"));
    }
}
