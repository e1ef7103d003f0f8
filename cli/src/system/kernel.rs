//! Sets what the kernel holds at present.

use std::{fs::OpenOptions, io::Write as _};

use anyhow::Context as _;

use crate::installation::surroundings::KernelKey;

/// What steps do to the kernel.
pub(crate) trait KernelSystem {
    fn set_kernel(&mut self, key: KernelKey, value: &str) -> anyhow::Result<()>;
}

impl KernelSystem for super::Real {
    fn set_kernel(&mut self, key: KernelKey, value: &str) -> anyhow::Result<()> {
        // In one piece; an empty list is an empty line.
        let line = format!("{value}\n");
        let set = || OpenOptions::new().write(true).open(key.path())?.write_all(line.as_bytes());
        set().with_context(|| format!("failed to set `{}` to `{value}`", key.name()))
    }
}

#[cfg(test)]
impl KernelSystem for super::recorder::Recorder {
    fn set_kernel(&mut self, key: KernelKey, value: &str) -> anyhow::Result<()> {
        self.note(format!("set {}={value}", key.name()))?;
        self.state.kernel.insert(key, value.to_owned());
        Ok(())
    }
}
