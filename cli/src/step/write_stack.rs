//! Writes the stack file.

use std::path::PathBuf;

use anyhow::Context as _;
use cmsg_config::Paths;
use cmsg_engine::stack::{Service, Stack};

use super::{
    error::StepError,
    file::{self, FileTrace, put_aside},
    kind::Kind,
    words::{unwritten, written},
};
use crate::{
    content::Content,
    installation::layout,
    progress::stage::{Group, Stage},
    system::System,
};

/// Writes the stack file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WriteStack {
    /// What it will say.
    pub(crate) stack: Draft,
    /// Whether one is there.
    pub(crate) replaces: bool,
}

/// A stack file whose numbers are known only when images and account are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) paths: Paths,
    /// The services; their images by name.
    pub(crate) services: Vec<Service>,
    /// The compose file of the operator's own below it.
    pub(crate) compose: Option<Content>,
}

impl<T: FileTrace> Kind<T> for WriteStack {
    fn name(&self) -> String {
        "write the stack file".to_owned()
    }

    fn changes(&self) -> String {
        written(&self.path(), self.replaces)
    }

    fn undoing(&self) -> &'static str {
        unwritten(self.replaces)
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Deployment, "Deploying the services", "Services deployed")
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        let text = self.stack.render(system)?;
        let path = self.path();
        put_aside(&path, self.replaces, system)?;
        Ok(system.write(&path, &text.into())?)
    }

    fn traces(&self) -> Vec<T> {
        vec![file::trace(&self.path(), self.replaces)]
    }
}

impl WriteStack {
    fn path(&self) -> PathBuf {
        layout::stack(&self.stack.paths)
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

/// The files that make up the stack, in their order.
pub(crate) fn stack_files(paths: &Paths, has_compose_file: bool) -> Vec<PathBuf> {
    let compose = has_compose_file.then(|| layout::compose_file(paths));
    compose.into_iter().chain([layout::stack(paths)]).collect()
}
