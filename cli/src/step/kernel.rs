//! Sets what the kernel holds at present; the file for its next start is written by another step.

use serde::{Deserialize, Serialize};

use crate::{installation::surroundings::KernelKey, system::System};

/// Settings that change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KernelStep {
    /// Which.
    pub(crate) settings: Vec<Setting>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    /// Which.
    pub(crate) key: KernelKey,
    /// Its value before.
    pub(crate) before: String,
    /// Its value afterwards.
    pub(crate) after: String,
}

impl KernelStep {
    /// Sets them.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses.
    pub(super) fn perform(&self, system: &mut dyn System) -> anyhow::Result<()> {
        self.settings.iter().try_for_each(|it| system.set_kernel(it.key, &it.after))
    }

    /// Sets them as they were.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses.
    pub(super) fn undo(&self, system: &mut dyn System) -> anyhow::Result<()> {
        self.settings.iter().try_for_each(|it| system.set_kernel(it.key, &it.before))
    }

    /// What is different afterwards.
    pub(super) fn changes(&self) -> String {
        let change =
            |it: &Setting| format!("`{}` from `{}` to `{}`", it.key.name(), it.before, it.after);
        self.settings.iter().map(change).collect::<Vec<_>>().join(", ")
    }

    /// How an operator undoes it who has to do it without the installer.
    pub(super) fn undoing_by_hand(&self) -> String {
        let command = |it: &Setting| format!("`sysctl -w {}={}`", it.key.name(), it.before);
        format!("run {}", self.settings.iter().map(command).collect::<Vec<_>>().join(" and "))
    }
}
