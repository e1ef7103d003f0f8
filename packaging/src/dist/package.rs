//! Builds a package with `rpmbuild` from existing programs.

use std::{fs, path::Path, process::Command};

use anyhow::Context as _;

use super::{VERSION, write};
use crate::binaries::output;

const SPEC: &str = include_str!("../../../rpm/pcoip-cmsg-setup.spec");

/// Files of the repository that are packaged unchanged.
pub(super) const TEXTS: [(&str, &str); 8] = [
    ("pcoip-cmsg.sysusers", include_str!("../../../rpm/pcoip-cmsg.sysusers")),
    ("pcoip-cmsg.cil", include_str!("../../../rpm/pcoip-cmsg.cil")),
    ("pcoip-cm.xml", include_str!("../../../rpm/pcoip-cm.xml")),
    ("pcoip-sg.xml", include_str!("../../../rpm/pcoip-sg.xml")),
    ("LGPL-2.1.txt", include_str!("../../../rpm/LGPL-2.1.txt")),
    ("LICENSE", include_str!("../../../LICENSE")),
    ("CHANGELOG.md", include_str!("../../../CHANGELOG.md")),
    ("0001-static-glibc.md", include_str!("../../../docs/decisions/0001-static-glibc.md")),
];

pub(super) struct Package<'a> {
    pub(super) sources: &'a Path,
    pub(super) work: &'a Path,
    pub(super) system: &'static str,
    pub(super) release: u32,
    pub(super) is_small: bool,
    pub(super) epoch: u32,
}

impl Package<'_> {
    /// Builds the package in a new directory.
    pub(super) fn build(&self, to: &Path) -> anyhow::Result<()> {
        let top = self.work.join(self.system);
        fs::create_dir(&top)?;
        let spec = top.join("pcoip-cmsg-setup.spec");
        write(&spec, SPEC)?;
        let mut build = Command::new("rpmbuild");
        build.args(["-bb", "--quiet", "--target", "x86_64-linux"]);
        for (name, value) in self.definitions(&top) {
            build.arg("--define").arg(format!("{name} {value}"));
        }
        // The package must not depend on this machine's user or locale.
        build.env("HOME", &top).env("LC_ALL", "C").env("TZ", "UTC");
        build.env("SOURCE_DATE_EPOCH", self.epoch.to_string()).arg(&spec);
        output(&mut build)?;
        let made = top.join("RPMS/x86_64");
        fs::rename(&made, to).with_context(|| format!("moving the package to `{}`", to.display()))
    }

    fn definitions(&self, top: &Path) -> [(&'static str, String); 10] {
        let folder = |path: &Path| path.display().to_string();
        // The window of level 9 is large enough to deduplicate the daemon in the images.
        let payload = if self.is_small { "w9.xzdio" } else { "w1.zstdio" };
        [
            ("_topdir", folder(top)),
            ("_sourcedir", folder(self.sources)),
            ("_dbpath", folder(&top.join("no-packages"))),
            ("dist", format!(".{}", self.system)),
            ("cmsg_version", VERSION.to_owned()),
            ("cmsg_release", self.release.to_string()),
            ("_binary_payload", payload.to_owned()),
            ("_buildhost", "localhost".to_owned()),
            ("use_source_date_epoch_as_buildtime", "1".to_owned()),
            ("clamp_mtime_to_source_date_epoch", "1".to_owned()),
        ]
    }
}
