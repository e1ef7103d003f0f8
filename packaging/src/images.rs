//! `cargo xtask images`: the two container images, made without an engine. Their one layer holds the
//! static daemon and the folders that are mounted; the same binary gives the same bytes.

mod archive;
mod layer;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{binaries::cargo, screen};
use archive::Image;

/// RHEL 8's C library is older than any machine's that builds, so the daemon brings its own.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How images are made.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the archive goes
    #[arg(long, value_name = "FILE", default_value_os_t = Path::new("target").join(ARCHIVE))]
    to: PathBuf,
    /// Build the daemon with this profile
    #[arg(long, default_value = "release")]
    profile: String,
    /// The version that the images' tags and labels name
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    image_version: String,
    /// Take this static daemon, built before
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
}

/// The archive's name, beside the installer's.
pub(crate) const ARCHIVE: &str = "pcoip-cmsg-images.tar";

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    for image in make(options)? {
        screen::data(&format!("{}\t{}", image.tag, image.id));
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes them for the tests: what is slow at run time is fast to build.
pub(crate) fn make_for_tests(to: PathBuf) -> anyhow::Result<()> {
    let image_version = env!("CARGO_PKG_VERSION").to_owned();
    make(&Options { to, profile: "dev".to_owned(), image_version, daemon: None }).map(drop)
}

fn make(options: &Options) -> anyhow::Result<Vec<Image>> {
    let daemon = match &options.daemon {
        Some(daemon) => daemon.clone(),
        None => build(&options.profile)?,
    };
    let binary = std::fs::read(&daemon)
        .with_context(|| format!("reading the daemon `{}`", daemon.display()))?;
    if !is_static(&binary) {
        bail!(
            "`{}` is no static x86-64 program; an image has nothing to load it with",
            daemon.display()
        );
    }
    let archive = archive::archive(&binary, &options.image_version)?;
    write(&options.to, &archive.bytes)?;
    Ok(archive.images)
}

/// Builds the static daemon.
fn build(profile: &str) -> anyhow::Result<PathBuf> {
    let built = cargo()
        .args(["build", "--package", "pcoip-cmsgd", "--bin", "pcoip-cmsgd"])
        .args(["--target", TARGET, "--profile", profile])
        .args(["--config", &format!("profile.{profile}.strip=\"symbols\"")])
        .env("CARGO_ENCODED_RUSTFLAGS", flags())
        .status()
        .context("starting `cargo build`")?;
    if !built.success() {
        bail!("`cargo build` failed");
    }
    // The own executable lies in `target/<profile>/`.
    let own = std::env::current_exe().context("finding the own executable")?;
    let target = own.ancestors().nth(2).context("the own executable has no folder")?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target.join(TARGET).join(folder).join("pcoip-cmsgd"))
}

/// Links the C library in, and keeps the folders of this machine out of the program.
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

/// Whether a program needs no loader: an ELF file for x86-64 none of whose parts names an
/// interpreter (elf(5)).
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

/// Writes the archive at once or not at all.
fn write(to: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder =
        to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("writing to `{}`", folder.display()))?;
    std::io::Write::write_all(&mut file, bytes).context("writing the archive")?;
    let file = file.persist(to).with_context(|| format!("writing `{}`", to.display()))?;
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.set_permissions(everyone).context("letting others read the archive")
}

#[cfg(test)]
mod tests;
