//! `create-darksite-bundle`: the packages, the images, and one archive of all of them.

mod images;
mod packages;

use std::{
    env::consts::ARCH,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cmsg_bundles::{Built, Contents, Kind, Listed, PackageName, Problem, build};

use super::Ended;
use crate::{
    args::{CreateDarksiteBundle, Global},
    exit::Exit,
    finding::Finding,
    interrupt::Interrupt,
    progress::Progress,
    report,
    screen::Screen,
    shown::counted,
    system::{Real, System as _},
};

const OWN: &str = env!("CARGO_PKG_VERSION");
const PRODUCT: &str = "pcoip-cmsg-setup";
const DOCKER: [&str; 3] = ["docker-ce", "docker-ce-cli", "containerd.io"];
const NO_DNF: &str = "run `dnf install 'dnf-command(download)'` on RHEL or Rocky Linux, and check \
                      that its repositories are reachable; or specify the package file instead of \
                      its name";
const NO_DOCKER: &str = "nothing to do if the target hosts have Docker; otherwise run `dnf \
                         config-manager --add-repo \
                         https://download.docker.com/linux/centos/docker-ce.repo` and create the \
                         bundle again, or add the package files with `--with-rpm`";

pub(super) fn run(
    asked: &CreateDarksiteBundle,
    global: &Global,
    screen: &Screen,
) -> Result<Exit, Ended> {
    let mut system = Real::new(Interrupt::watch()?, Progress::new(screen));
    let mut findings = Vec::new();
    // Before anything is downloaded.
    let source = images::Source::read(&asked.registry, global, &mut findings)?;
    findings.iter().for_each(|finding| screen.finding(finding));
    let images = source.take(&mut system)?;
    let told = findings.len();
    let mut packages = find_packages(asked, &mut findings, screen, &mut system)?;
    packages.extend(asked.with_rpm.iter().cloned());
    let version = version(&packages)?;
    findings[told..].iter().for_each(|finding| screen.finding(finding));

    let sign = asked.sign.clone().map(|key| move |bytes: &[u8]| packages::sign(bytes, &key));
    let contents = Contents {
        version: &version,
        architecture: ARCH,
        images: images.path(),
        packages: &packages,
        sign: sign.as_ref().map(|sign| sign as _),
    };
    let begun = Instant::now();
    let progress = system.progress();
    let mut watch = |done, total| {
        progress.bytes(done, total);
        !system.pause(Duration::ZERO)
    };
    let built = progress.during("Building the bundle", || build(&contents, &asked.to, &mut watch));
    let built = built.map_err(failed)?;
    screen.note(&format!(
        "created from {} in {}",
        amount(built.manifest.bytes()),
        taken(built.manifest.bytes(), begun.elapsed())
    ));
    screen.data(&lines(&built, &asked.to));
    if screen.is_json {
        screen.document(&report::bundle(&findings, &asked.to, &built));
    }
    Ok(Exit::Done)
}

/// The package's file, or everything that comes with its name.
fn find_packages(
    asked: &CreateDarksiteBundle,
    findings: &mut Vec<Finding>,
    screen: &Screen,
    system: &mut Real,
) -> Result<Vec<PathBuf>, Ended> {
    let name = &asked.pcoip_cmsg_rpm_path;
    if is_file(name) {
        return Ok(vec![PathBuf::from(name)]);
    }
    let progress = system.progress();
    let mut pause = |time| system.pause(time);
    let dnf = |why: anyhow::Error| match why.is::<packages::Interrupted>() {
        true => Ended::Interrupted,
        false => Ended::Failed(why, Some(NO_DNF.to_owned())),
    };
    let ask = || packages::available(&DOCKER, &mut pause);
    let docker = progress.during("Looking for Docker's packages", ask).map_err(dnf)?;
    let missing: Vec<_> = DOCKER.iter().filter(|name| !docker.contains(name)).collect();
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
        let what =
            format!("no repository has {}; the bundle does not include them", names.join(", "));
        findings.push(Finding::warning("bundle.docker", what, NO_DOCKER));
    }
    let names = [&[name.as_str()], &docker[..]].concat();
    let begun = Instant::now();
    let download = || packages::download(&names, &asked.downloads, &mut pause);
    let files = progress.during("Downloading the packages", download).map_err(dnf)?;
    let bytes = files.iter().filter_map(|file| file.metadata().ok()).map(|it| it.len()).sum();
    let (packages, how) = (counted(files.len(), "package"), taken(bytes, begun.elapsed()));
    let folder = asked.downloads.display();
    screen.note(&format!(
        "downloads complete: {packages} ({}) in `{folder}` after {how}",
        amount(bytes)
    ));
    Ok(files)
}

/// Whether a file is meant, not a name that `dnf` knows.
fn is_file(text: &str) -> bool {
    text.contains('/') || Path::new(text).extension().is_some_and(|it| it == "rpm")
}

/// The version of the product's package, which is that of the images beside this program.
fn version(packages: &[PathBuf]) -> Result<String, Ended> {
    let name = |path: &PathBuf| PackageName::parse(&path.file_name()?.to_string_lossy());
    let ours: Vec<_> =
        packages.iter().filter_map(name).filter(|package| package.name == PRODUCT).collect();
    let Some(first) = ours.first() else {
        let what = format!("there is no package `{PRODUCT}-VERSION-RELEASE.{ARCH}.rpm` among them");
        let cure = format!("use `--pcoip-cmsg-rpm-path {PRODUCT}`, or specify the package file");
        return Err(vec![Finding::error("bundle.package", what, cure)].into());
    };
    if let Some(other) = ours.iter().find(|package| package.version != OWN) {
        let what = format!(
            "the package has version {}, but this program and its images have {OWN}",
            other.version
        );
        let cure = format!("`dnf upgrade {PRODUCT}` here first, or use the package {OWN}");
        return Err(vec![Finding::error("bundle.package", what, cure)].into());
    }
    Ok(first.version.clone())
}

fn failed(problem: Problem) -> Ended {
    let hint = match &problem {
        Problem::Interrupted => return Ended::Interrupted,
        Problem::Unsigned(_) => "specify a PEM key that `openssl dgst -sha256 -sign` accepts",
        Problem::Package { .. } => "use the file names that `dnf download` chooses",
        Problem::Unwritable { .. } => "free some space, or specify another file with `--to`",
        Problem::Size { .. } | Problem::Digest { .. } => {
            "run the command again: a file changed in the meantime"
        }
        _ => "check that the file exists and is readable",
    };
    Ended::Failed(problem.into(), Some(hint.to_owned()))
}

/// What was made, for people: the last line is what `sha256sum` prints of it.
fn lines(built: &Built, to: &Path) -> String {
    let line = |file: &Listed| match file.kind {
        Kind::Script => None,
        Kind::Images | Kind::Package => Some(format!("{:>10}  {}", amount(file.size), file.path)),
    };
    let mut lines: Vec<_> = built.manifest.files.iter().filter_map(line).collect();
    lines.push(format!("{:>10}  {}", amount(built.bytes), to.display()));
    lines.push(format!("{}  {}", built.sha256, to.display()));
    lines.join("\n")
}

fn amount(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn taken(bytes: u64, time: Duration) -> String {
    let per_second = u128::from(bytes) * 1000 / time.as_millis().max(1);
    let seconds = time.as_secs_f32();
    let rate = amount(u64::try_from(per_second).unwrap_or(u64::MAX));
    format!("{seconds:.1} s ({rate}/s)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_a_packages_name() {
        let table = [
            ("pcoip-cmsg-setup", false),
            ("pcoip-cmsg-setup-0.1.0-1.el9", false),
            ("pcoip-cmsg-setup-0.1.0-1.el9.x86_64.rpm", true),
            ("./setup", true),
        ];
        for (text, is_it) in table {
            assert_eq!(is_file(text), is_it, "{text}");
        }
    }

    #[test]
    fn rates_are_told_in_the_unit_that_fits() {
        assert_eq!(taken(10_000_000, Duration::from_secs(2)), "2.0 s (5 MB/s)");
        assert_eq!(taken(10_000, Duration::from_secs(2)), "2.0 s (5 kB/s)");
        assert_eq!(amount(1), "1 kB");
        assert_eq!(amount(1_900_000), "1 MB");
    }
}
