//! Sets what the kernel holds at present; the file for its next start is written by another step.

use cmsg_config::Paths;
use serde::{Deserialize, Serialize};

use super::{
    error::StepError,
    kind::{Kind, Undo},
};
use crate::{
    installation::surroundings::KernelKey,
    progress::stage::{Group, Stage},
    system::System,
};

/// Settings that change. A trace of it says that they had other values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KernelStep {
    pub(crate) settings: Vec<KernelSetting>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KernelSetting {
    pub(crate) key: KernelKey,
    pub(crate) before: String,
    pub(crate) after: String,
}

impl<T: From<Self>> Kind<T> for KernelStep {
    fn name(&self) -> String {
        "set kernel parameters".to_owned()
    }

    fn changes(&self) -> String {
        let change = |it: &KernelSetting| {
            let before = if it.before.is_empty() { "empty" } else { &it.before };
            format!("`{}` to `{}` (was {before})", it.key.name(), it.after)
        };
        self.settings.iter().map(change).collect::<Vec<_>>().join(", ")
    }

    fn undoing(&self) -> &'static str {
        "the previous values are restored"
    }

    fn stage(&self) -> Stage {
        Stage::new(Group::Host, "Setting kernel parameters", "Kernel parameters set")
    }

    fn on_host(&self) -> Option<String> {
        Some(match &self.settings[..] {
            [only] => format!("kernel parameter `{}`", only.key.name()),
            all => format!("{} kernel parameters", all.len()),
        })
    }

    fn perform(&self, system: &mut dyn System) -> Result<(), StepError> {
        Ok(self.settings.iter().try_for_each(|it| system.set_kernel(it.key, &it.after))?)
    }

    fn traces(&self) -> Vec<T> {
        vec![self.clone().into()]
    }
}

impl Undo for KernelStep {
    fn undo(&self, _paths: &Paths, system: &mut dyn System) -> anyhow::Result<()> {
        self.settings.iter().try_for_each(|it| system.set_kernel(it.key, &it.before))
    }

    fn undoing_by_hand(&self) -> String {
        let command = |it: &KernelSetting| format!("`sysctl -w {}={}`", it.key.name(), it.before);
        format!("run {}", self.settings.iter().map(command).collect::<Vec<_>>().join(" and "))
    }
}
