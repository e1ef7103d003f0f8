//! Builds the product's binaries and knows where they lie.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

/// The folder with `pcoip-cmsg-setup`, `pcoip-cmsgd` and `pcoip-sim`.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// Those in a folder, built before.
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Builds them.
    pub(crate) fn build() -> anyhow::Result<Self> {
        let status = cargo()
            .args(["build", "--bins"])
            .args(["--package", "pcoip-cmsg-setup"])
            .args(["--package", "pcoip-cmsgd"])
            .args(["--package", "pcoip-sim"])
            .status()
            .context("starting `cargo build`")?;
        if !status.success() {
            bail!("`cargo build` failed");
        }
        let own = std::env::current_exe().context("finding the own executable")?;
        let folder = own.parent().context("the own executable has no folder")?;
        Ok(Self::at(folder))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.path(name))
    }
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
