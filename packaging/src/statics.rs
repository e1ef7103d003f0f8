//! Static builds of the product's programs, for images and packages.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::binaries::cargo;

pub(crate) const DAEMON: &str = "pcoip-cmsgd";
pub(crate) const INSTALLER: &str = "pcoip-cmsg-setup";

/// Programs are linked statically, since the C library of RHEL 8 is older than that of any build
/// machine.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds one program at a time, so that features of another one are not enabled.
pub(crate) fn build(name: &str, profile: &str) -> anyhow::Result<PathBuf> {
    let built = cargo()
        .args(["build", "--package", name, "--bin", name])
        .args(["--target", TARGET, "--profile", profile])
        .args(["--config", &format!("profile.{profile}.strip=\"symbols\"")])
        .env("CARGO_ENCODED_RUSTFLAGS", flags())
        .status()
        .context("starting `cargo build`")?;
    if !built.success() {
        bail!("`cargo build` failed");
    }
    // This executable is in `target/<profile>/`.
    let own = std::env::current_exe().context("locating the executable")?;
    let target = own.ancestors().nth(2).context("this program's path has no directory")?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(TARGET).join(folder).join(name))
}

/// Reads a program, and rejects one that would not run in an image or on an older machine.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let binary =
        std::fs::read(path).with_context(|| format!("reading the program `{}`", path.display()))?;
    if !is_static(&binary) {
        bail!(
            "`{}` is not a static x86-64 program: the image has no loader for it",
            path.display()
        );
    }
    Ok(binary)
}

/// Flags that link the C library statically, and keep the paths of this machine out of the program.
fn flags() -> String {
    let workspace = env!("CARGO_MANIFEST_DIR").trim_end_matches("/packaging");
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{home}/.cargo"));
    [
        "-Ctarget-feature=+crt-static".to_owned(),
        format!("--remap-path-prefix={workspace}=."),
        format!("--remap-path-prefix={cargo}=cargo"),
    ]
    .join("\x1f")
}

/// Whether a program needs no loader: an x86-64 ELF file without an interpreter segment (elf(5)).
fn is_static(binary: &[u8]) -> bool {
    const X86_64: u16 = 62;
    const INTERPRETER: u32 = 3;
    let parts = || {
        let machine = u16::from_le_bytes(field(binary, 18)?);
        let start = usize::try_from(u64::from_le_bytes(field(binary, 32)?)).ok()?;
        let size = usize::from(u16::from_le_bytes(field(binary, 54)?));
        let count = usize::from(u16::from_le_bytes(field(binary, 56)?));
        let kind =
            |index| Some(u32::from_le_bytes(field(binary, start.checked_add(index * size)?)?));
        let kinds: Option<Vec<_>> = (0..count).map(kind).collect();
        kinds.filter(|_| binary.starts_with(b"\x7fELF") && machine == X86_64)
    };
    parts().is_some_and(|kinds| !kinds.contains(&INTERPRETER))
}

fn field<const SIZE: usize>(binary: &[u8], at: usize) -> Option<[u8; SIZE]> {
    binary.get(at..at.checked_add(SIZE)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();

        assert!(!is_static(&own));
        assert!(!is_static(b"\x7fELF"));
        assert!(!is_static(b"#!/bin/sh\n"));
    }
}
