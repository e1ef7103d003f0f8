//! Builds and locates the product's binaries.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

/// The directory with `pcoip-cmsg-setup`, `pcoip-cmsgd` and `pcoip-sim`.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// Binaries that were built before.
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// Builds the binaries.
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
        let own = std::env::current_exe().context("locating the executable")?;
        let folder = own.parent().context("this program's path has no directory")?;
        Ok(Self::at(folder))
    }

    /// Builds these packages with the release profile, for a command that was itself built with it.
    pub(crate) fn release(packages: &[&str]) -> anyhow::Result<Self> {
        let named = packages.iter().flat_map(|package| ["--package", package]);
        let status = cargo().args(["build", "--release", "--bins"]).args(named).status();
        if !status.context("starting `cargo build`")?.success() {
            bail!("`cargo build` failed");
        }
        let own = std::env::current_exe().context("locating the executable")?;
        Ok(Self::at(own.parent().context("this program's path has no directory")?))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        Command::new(self.path(name))
    }
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

pub(crate) fn is_installed(name: &str) -> bool {
    path_of(name).is_some()
}

pub(crate) fn path_of(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Runs a program and returns its output. Fails if the program fails.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("starting `{program}`"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("`{program}` ended with {}: {}", output.status, said.trim());
}
