//! The swarm's services, as they were asked for.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use bollard::{
    Docker,
    models::{Mount, Service},
    query_parameters::ListServicesOptions,
};

use crate::{STACK, services::NAMESPACE};

/// A service of the swarm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceFact {
    /// Its name, e.g. `pcoipcm_cm`.
    pub name: String,
    /// The stack that it belongs to.
    pub stack: Option<String>,
    /// The image that it runs, as the stack file named it.
    pub image: String,
    /// Whether this installer made it.
    pub is_ours: bool,
    /// How many of its tasks run.
    pub running: u64,
    /// How many should.
    pub desired: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment; a variable without a value has an empty one.
    pub environment: BTreeMap<String, String>,
    /// What of the host it sees.
    pub mounts: Vec<MountFact>,
    /// The user that it runs as, as the stack file named it.
    pub user: String,
    /// When it was made, as the engine writes it.
    pub created: String,
    /// When it was last changed.
    pub updated: String,
    /// Grows with each change.
    pub version: u64,
}

impl ServiceFact {
    /// Whether the installer made it, as a part of its stack.
    #[must_use]
    pub fn is_of_installation(&self) -> bool {
        self.is_ours && self.stack.as_deref() == Some(STACK)
    }
}

/// Something of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFact {
    /// Where it lies on the host; the name of a volume.
    pub source: PathBuf,
    /// Where it lies in the container.
    pub target: PathBuf,
    /// Whether the container cannot change it.
    pub is_read_only: bool,
}

pub(super) async fn read(docker: &Docker) -> anyhow::Result<Vec<ServiceFact>> {
    let options = ListServicesOptions { status: Some(true), ..ListServicesOptions::default() };
    let services = docker.list_services(Some(options)).await;
    Ok(services.context("asking for the swarm's services")?.into_iter().map(service).collect())
}

fn service(service: Service) -> ServiceFact {
    let status = service.service_status.unwrap_or_default();
    let spec = service.spec.unwrap_or_default();
    let labels = spec.labels.unwrap_or_default();
    let container = spec.task_template.and_then(|task| task.container_spec).unwrap_or_default();
    ServiceFact {
        name: spec.name.unwrap_or_default(),
        stack: labels.get(NAMESPACE).cloned(),
        image: container.image.unwrap_or_default(),
        is_ours: super::is_ours(Some(&labels)),
        running: status.running_tasks.unwrap_or_default(),
        desired: status.desired_tasks.unwrap_or_default(),
        labels: labels.into_iter().collect(),
        environment: container.env.iter().flatten().map(|line| variable(line)).collect(),
        mounts: container.mounts.into_iter().flatten().map(mount).collect(),
        user: container.user.unwrap_or_default(),
        created: service.created_at.unwrap_or_default(),
        updated: service.updated_at.unwrap_or_default(),
        version: service.version.and_then(|version| version.index).unwrap_or_default(),
    }
}

fn variable(line: &str) -> (String, String) {
    let (name, value) = line.split_once('=').unwrap_or((line, ""));
    (name.to_owned(), value.to_owned())
}

fn mount(mount: Mount) -> MountFact {
    MountFact {
        source: mount.source.unwrap_or_default().into(),
        target: mount.target.unwrap_or_default().into(),
        is_read_only: mount.read_only.unwrap_or_default(),
    }
}
