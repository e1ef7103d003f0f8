//! The services of the swarm.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use bollard::{
    Docker,
    models::{Mount, Service},
    query_parameters::ListServicesOptions,
};

use crate::{STACK, services::NAMESPACE};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceFact {
    /// Name, for example `pcoipcm_cm`.
    pub name: String,
    /// Name of its stack.
    pub stack: Option<String>,
    /// Image as in the stack file.
    pub image: String,
    /// Whether the installer created it.
    pub is_ours: bool,
    /// Number of running tasks.
    pub running: u64,
    /// Desired number of tasks.
    pub desired: u64,
    pub labels: BTreeMap<String, String>,
    /// Environment variables; one without a value is empty.
    pub environment: BTreeMap<String, String>,
    /// Host directories and volumes in its containers.
    pub mounts: Vec<MountFact>,
    /// User as in the stack file.
    pub user: String,
    /// Time of creation, as the engine writes it.
    pub created: String,
    /// Time of the last change, as the engine writes it.
    pub updated: String,
    /// Increases with each change.
    pub version: u64,
}

impl ServiceFact {
    /// Whether the installer created it as a part of its stack.
    #[must_use]
    pub fn is_of_installation(&self) -> bool {
        self.is_ours && self.stack.as_deref() == Some(STACK)
    }
}

/// A host directory or volume in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFact {
    /// Directory on the host, or name of the volume.
    pub source: PathBuf,
    /// Directory in the container.
    pub target: PathBuf,
    pub is_read_only: bool,
}

pub(super) async fn read(docker: &Docker) -> anyhow::Result<Vec<ServiceFact>> {
    let options = ListServicesOptions { status: Some(true), ..ListServicesOptions::default() };
    let services = docker.list_services(Some(options)).await;
    Ok(services.context("listing the swarm's services")?.into_iter().map(service).collect())
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
