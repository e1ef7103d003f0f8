//! Stand-ins for packages of distributions and of the vendor: a name, a version and a file.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::made::tell;

/// A repository of stubs.
pub(crate) struct Stubs {
    own: TempDir,
}

impl Stubs {
    /// Makes one of packages, each a name, an epoch and a version.
    pub(crate) fn of(packages: &[(&str, u32, &str)]) -> Self {
        let own = tempfile::tempdir().expect("a temporary folder can be made");
        for package in packages {
            build(own.path(), *package);
        }
        let stubs = Self { own };
        tell(Command::new("createrepo_c").arg("--quiet").arg(stubs.folder()));
        stubs
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.own.path().join("RPMS")
    }
}

fn build(top: &Path, (name, epoch, version): (&str, u32, &str)) {
    let text = format!(
        "Name: {name}\nEpoch: {epoch}\nVersion: {version}\nRelease: 1.el9\nSummary: A stub\n\
         License: Apache-2.0\nAutoReqProv: no\n%global __os_install_post %{{nil}}\n%description\n\
         A stub.\n%install\ninstall -d %{{buildroot}}/usr/share/stubs\n\
         echo {version} > %{{buildroot}}/usr/share/stubs/{name}\n%files\n/usr/share/stubs/{name}\n"
    );
    let mut spec = tempfile::Builder::new().suffix(".spec").tempfile_in(top).expect("a file");
    spec.write_all(text.as_bytes()).expect("the file can be written");
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet", "--target", "x86_64-linux", "--define"]);
    rpmbuild.arg(format!("_topdir {}", top.display()));
    tell(rpmbuild.env("HOME", top).arg(spec.path()));
}
