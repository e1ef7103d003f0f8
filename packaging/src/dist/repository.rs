//! Creates a package repository and its dnf configuration file.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};

use super::{Options, detach_signature, write};
use crate::binaries::{output, path_of};

/// The public key, in the directory of the packages.
const KEY: &str = "RPM-GPG-KEY-pcoip-cmsg";

/// URL of the repositories for dnf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BaseUrl(String);

impl FromStr for BaseUrl {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let is_known = ["file:///", "http://", "https://"].iter().any(|it| text.starts_with(it));
        if !is_known || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("it begins with file:///, http:// or https:// and has no spaces");
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Creates a repository in a directory with packages.
pub(super) fn make(
    folder: &Path,
    system: &str,
    options: &Options,
    epoch: u32,
) -> anyhow::Result<()> {
    let key = options.sign.as_deref();
    for package in packages(folder)? {
        if let Some(key) = key {
            sign(key, &package)?;
        }
        // The repository metadata contains the times of the packages.
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch.into());
        fs::File::options().append(true).open(&package)?.set_modified(time)?;
    }
    let mut create = Command::new("createrepo_c");
    create.args(["--quiet", "--no-database", "--workers", "1", "--set-timestamp-to-revision"]);
    output(create.args(["--revision", &epoch.to_string()]).arg(folder))?;
    if let Some(key) = key {
        detach_signature(key, &folder.join("repodata/repomd.xml"))?;
        let exported = output(Command::new("gpg").args(["--batch", "--armor", "--export", key]))?;
        write(&folder.join(KEY), exported)?;
    }
    let text = file(system, &options.base_url, key.is_some());
    write(&folder.join("pcoip-cmsg.repo"), text)
}

fn sign(key: &str, package: &Path) -> anyhow::Result<()> {
    // The default path in rpm differs between distributions.
    let gpg = path_of("gpg").context("there is no `gpg`")?;
    let definitions = [format!("_gpg_name {key}"), format!("__gpg {}", gpg.display())];
    let mut sign = Command::new("rpmsign");
    for definition in definitions {
        sign.arg("--define").arg(definition);
    }
    output(sign.arg("--addsign").arg(package)).map(drop)
}

/// The packages in a directory, sorted.
pub(super) fn packages(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.with_context(|| format!("reading `{}`", folder.display()))?;
    let paths = entries.into_iter().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|end| end == "rpm")).collect())
}

/// The configuration file for dnf.
fn file(system: &str, BaseUrl(base): &BaseUrl, is_signed: bool) -> String {
    let number = system.trim_start_matches("el");
    let trust = if is_signed {
        format!("gpgcheck=1\nrepo_gpgcheck=1\ngpgkey={base}/{system}/{KEY}\n")
    } else {
        "# Nothing is signed: SHA256SUMS, had from a source that you trust, is all there is.\n\
         gpgcheck=0\n"
            .to_owned()
    };
    format!(
        "# `baseurl` is where this folder lies: a folder of this machine (file://) or of a web server.\n\
         [pcoip-cmsg]\n\
         name=PCoIP Connection Manager and Security Gateway for RHEL {number}\n\
         baseurl={base}/{system}\n\
         enabled=1\n\
         {trust}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dnf_configuration_has_one_directory_for_packages_and_key() {
        let base = "https://packages.example/cmsg/".parse().unwrap();

        let text = file("el9", &base, true);
        let lines: Vec<_> = text.lines().skip(1).collect();
        let expected = [
            "[pcoip-cmsg]",
            "name=PCoIP Connection Manager and Security Gateway for RHEL 9",
            "baseurl=https://packages.example/cmsg/el9",
            "enabled=1",
            "gpgcheck=1",
            "repo_gpgcheck=1",
            "gpgkey=https://packages.example/cmsg/el9/RPM-GPG-KEY-pcoip-cmsg",
        ];
        assert_eq!(lines, expected);
        assert!(file("el8", &base, false).ends_with("\ngpgcheck=0\n"));
    }

    #[test]
    fn an_address_that_would_be_more_than_one_line_is_refused() {
        for text in ["ftp://host", "file://host", "file:///srv/a\ngpgcheck=0", "https://a b", ""] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text:?}");
        }
    }
}
