//! `cargo xtask dist`: all release artifacts. Two runs on the same commit with the same tools give
//! the same bytes, except for signatures.

mod bundle;
mod licences;
mod metadata;
mod package;
mod repository;
mod sbom;
mod sums;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};

use crate::{
    binaries::{is_installed, output},
    images, screen, statics,
};
use metadata::Crates;
use package::Package;
use repository::BaseUrl;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Output directory, which must be empty or missing
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    to: PathBuf,
    /// Cargo profile of both programs; packages of a profile other than `release` are compressed
    /// less
    #[arg(long, default_value = "release")]
    profile: String,
    /// Use this static installer instead of building one
    #[arg(long, value_name = "FILE")]
    installer: Option<PathBuf>,
    /// Use this static daemon instead of building one
    #[arg(long, value_name = "FILE")]
    daemon: Option<PathBuf>,
    /// Create packages only for these systems [default: all]
    #[arg(long = "for", value_name = "SYSTEM")]
    systems: Vec<System>,
    /// Release number of the package
    #[arg(long, value_name = "N", default_value_t = 1)]
    package_release: u32,
    /// Location of the repositories: `file://` and a directory, or the URL of a web server
    #[arg(long, value_name = "URL", default_value = "file:///srv/pcoip-cmsg")]
    base_url: BaseUrl,
    /// Directory with `el8` and `el9`, which contain the packages of Docker and its dependencies
    /// for the bundles
    #[arg(long, value_name = "DIR")]
    dependencies: Option<PathBuf>,
    /// Sign packages, repositories and checksums with this GnuPG key
    #[arg(long, value_name = "KEY")]
    sign: Option<String>,
}

/// The systems for which packages are created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum System {
    El8,
    El9,
}

impl System {
    fn name(self) -> &'static str {
        match self {
            Self::El8 => "el8",
            Self::El9 => "el9",
        }
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    require(options)?;
    let epoch = epoch()?;
    let folder = options.to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("making `{}`", folder.display()))?;
    let work = tempfile::tempdir_in(folder).context("creating a working directory")?;
    let (sources, made) = (work.path().join("sources"), work.path().join("made"));
    fs::create_dir(&made)?;

    let crates = Crates::read()?;
    stage(&sources, options, &crates)?;
    note(begun, "both programs, images, completions and manual pages");
    for system in systems(options) {
        let package = Package {
            sources: &sources,
            work: work.path(),
            system: system.name(),
            release: options.package_release,
            is_small: options.profile == "release",
            epoch,
        };
        let folder = made.join(system.name());
        package.build(&folder)?;
        repository::make(&folder, system.name(), options, epoch)?;
        bundle::make(&made, system.name(), &sources, options)?;
        note(begun, &format!("package, repository and bundle for {}", system.name()));
    }
    let list = sbom::list(&crates, VERSION, epoch)?;
    let mut list = serde_json::to_string_pretty(&list).context("writing the list of crates")?;
    list.push('\n');
    write(&made.join(format!("pcoip-cmsg-setup-{VERSION}.cdx.json")), list)?;
    sums::make(&made)?;
    if let Some(key) = &options.sign {
        detach_signature(key, &made.join(sums::NAME))?;
    }
    finish(&made, &options.to, epoch)?;
    note(begun, &format!("everything is in `{}`", options.to.display()));
    Ok(ExitCode::SUCCESS)
}

fn systems(options: &Options) -> Vec<System> {
    let all = || vec![System::El8, System::El9];
    if options.systems.is_empty() { all() } else { options.systems.clone() }
}

/// Reports missing tools before the long build.
fn require(options: &Options) -> anyhow::Result<()> {
    let signing: &[_] = if options.sign.is_some() { &["rpmsign", "gpg"] } else { &[] };
    let tools = ["rpmbuild", "createrepo_c"].iter().chain(signing).copied();
    let missing: Vec<_> = tools.filter(|tool| !is_installed(tool)).collect();
    if !missing.is_empty() {
        bail!("packages cannot be built without: {}", missing.join(", "));
    }
    let is_empty = |folder: &Path| fs::read_dir(folder).is_ok_and(|mut all| all.next().is_none());
    if options.to.symlink_metadata().is_ok() && !is_empty(&options.to) {
        bail!(
            "`{}` is not an empty directory: remove it, or specify another one",
            options.to.display()
        );
    }
    Ok(())
}

/// The time in all artifacts: `SOURCE_DATE_EPOCH`, else the time of the commit.
fn epoch() -> anyhow::Result<u32> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let text = match std::env::var(NAME) {
        Ok(text) => text,
        Err(_) => {
            let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
            let said = output(Command::new("git").args(["-C", root, "log", "-1", "--format=%ct"]));
            String::from_utf8_lossy(
                &said.context(format!("outside a Git repository, set `{NAME}`"))?,
            )
            .into()
        }
    };
    text.trim().parse().with_context(|| format!("`{NAME}` is not a number of seconds: {text}"))
}

/// Collects the files of the packages.
fn stage(sources: &Path, options: &Options, crates: &Crates) -> anyhow::Result<()> {
    fs::create_dir(sources)?;
    let programs = [(statics::INSTALLER, &options.installer), (statics::DAEMON, &options.daemon)];
    for (name, given) in programs {
        let program = match given {
            Some(given) => given.clone(),
            None => statics::build(name, &options.profile)?,
        };
        let program = statics::read(&program)?;
        let path = sources.join(name);
        write(&path, program)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    images::make(&sources.join(statics::DAEMON), VERSION, &sources.join(images::ARCHIVE))?;
    words(sources)?;
    for (name, text) in package::TEXTS {
        write(&sources.join(name), text)?;
    }
    write(&sources.join("LICENSES-OF-CRATES.txt"), licences::texts(crates)?)
}

/// Completions and manual pages of the installer.
fn words(sources: &Path) -> anyhow::Result<()> {
    let installer = || Command::new(sources.join(statics::INSTALLER));
    let version = output(installer().arg("--version"))?;
    let version = String::from_utf8_lossy(&version);
    if version.trim() != format!("{} {VERSION}", statics::INSTALLER) {
        bail!("the installer's version is not {VERSION}: {}", version.trim());
    }
    for shell in ["bash", "fish", "zsh"] {
        let script = output(installer().args(["completions", shell]))?;
        write(&sources.join(format!("completions.{shell}")), script)?;
    }
    output(installer().args(["man", "--to"]).arg(sources)).map(drop)
}

/// Writes a detached signature beside the file.
fn detach_signature(key: &str, file: &Path) -> anyhow::Result<()> {
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--yes", "--local-user", key, "--armor", "--detach-sign"]).arg(file);
    output(&mut gpg).map(drop)
}

/// Moves the complete result to its destination.
fn finish(made: &Path, to: &Path, epoch: u32) -> anyhow::Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch.into());
    for file in sums::files(made)? {
        fs::File::options().append(true).open(made.join(&file))?.set_modified(time)?;
    }
    fs::set_permissions(made, fs::Permissions::from_mode(0o755))?;
    fs::rename(made, to).with_context(|| format!("making `{}`", to.display()))
}

#[expect(clippy::disallowed_methods, reason = "nobody sees the folder before it is whole")]
fn write(path: &Path, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("writing `{}`", path.display()))
}

fn note(begun: Instant, what: &str) {
    screen::note(&format!("{:>4} s  {what}", begun.elapsed().as_secs()));
}
