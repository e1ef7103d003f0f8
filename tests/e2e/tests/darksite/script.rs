//! The script that installs from the unpacked bundle.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use cmsg_bundles::{Contents, build};
use e2e::{
    needs::{Need, met},
    rpm,
};
use tempfile::TempDir;

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Tool("rpmbuild"),
    Need::Tool("rpm"),
    Need::Tool("tar"),
    Need::Tool("unshare"),
];

/// A program that records its command line.
const NOTES: &str = "#!/bin/sh\necho \"${0##*/} $*\" >> $NOTED\n";

/// A directory with a bundle, and simulated programs.
struct Site {
    folder: TempDir,
}

impl Site {
    fn start() -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder can be made") };
        let packages = site.path("packages");
        fs::create_dir(&packages).expect("a folder can be made");
        fs::create_dir(site.path("bin")).expect("a folder can be made");
        let named = |name, release| rpm::package(&packages, name, release, ("/usr/share/p", "p"));
        let packages = [
            named("pcoip-cmsg-setup", "1.el8"),
            named("pcoip-cmsg-setup", "1.el9"),
            named("of-a-test", "3"),
        ];
        put(&site.path("images"), b"images", 0o644);
        for program in ["dnf", "pcoip-cmsg-setup"] {
            put(&site.path("bin").join(program), NOTES.as_bytes(), 0o755);
        }
        put(&site.path("el9"), b"ID=\"rhel\"\nPLATFORM_ID=\"platform:el9\"\n", 0o644);
        put(&site.path("el10"), b"ID=\"rhel\"\nPLATFORM_ID=\"platform:el10\"\n", 0o644);
        let images = site.path("images");
        let contents = Contents {
            version: env!("CARGO_PKG_VERSION"),
            architecture: "x86_64",
            images: &images,
            packages: &packages,
            sign: None,
        };
        let to = site.path("pcoip-cmsg-setup_darksite-0.1.0.el9.tar.gz");
        build(&contents, &to, &mut |_, _| true).expect("a bundle can be made");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a script in the directory, on a machine with this release.
    fn run(&self, release: &str, script: &str) -> Output {
        let path = std::env::var("PATH").expect("there is one");
        let script = format!("mount --bind {release} /etc/os-release\n{script}");
        Command::new("unshare")
            .args(["--mount", "bash", "-ec", &script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("NOTED", self.path("noted"))
            .output()
            .expect("`unshare` starts")
    }

    /// The calls since the last query.
    fn noted(&self) -> String {
        let noted = fs::read_to_string(self.path("noted")).unwrap_or_default();
        let _ = fs::remove_file(self.path("noted"));
        noted.replace(&self.folder.path().display().to_string(), "HERE")
    }
}

fn put(path: &Path, bytes: &[u8], mode: u32) {
    let mut file = fs::File::create(path).expect("a file can be made");
    file.write_all(bytes).expect("it can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const DNF: &str = concat!(
    "dnf install --disablerepo=* --allowerasing -y \
     HERE/teradici-pcoip-cmsg-bundle/dependencies/of-a-test-",
    env!("CARGO_PKG_VERSION"),
    "-3.x86_64.rpm HERE/teradici-pcoip-cmsg-bundle/dependencies/pcoip-cmsg-setup-",
    env!("CARGO_PKG_VERSION"),
    "-1.el9.x86_64.rpm\n"
);
const INSTALL: &str =
    "pcoip-cmsg-setup install --darksite-bundle-path HERE/teradici-pcoip-cmsg-bundle";

#[test]
fn what_the_guide_types_installs_the_packages_and_then_the_product() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::start();
    let typed = "tar xzvf pcoip-cmsg-setup_darksite-0.1.0.el9.tar.gz && \
                 cd teradici-pcoip-cmsg-bundle && ./pcoip-cmsg-setup-offline.sh";

    let output = site.run("el9", &format!("{typed} --broker-url 'https://a b'"));
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(site.noted(), format!("{DNF}{INSTALL} --broker-url https://a b\n"));

    let output = site.run("el9", "cd / && $OLDPWD/teradici-pcoip-cmsg-bundle/*.sh -d");
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(site.noted(), DNF);
    assert!(said(&output).contains("pcoip-cmsg-setup install --darksite-bundle-path"));

    let mounted = "mount --bind teradici-pcoip-cmsg-bundle teradici-pcoip-cmsg-bundle
                   mount -o remount,bind,ro teradici-pcoip-cmsg-bundle
                   ! touch teradici-pcoip-cmsg-bundle/x 2>/dev/null
                   bash teradici-pcoip-cmsg-bundle/pcoip-cmsg-setup-offline.sh";
    let output = site.run("el9", mounted);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(site.noted(), format!("{DNF}{INSTALL}\n"));
}

#[test]
fn a_folder_that_is_not_what_was_packed_is_not_installed_from() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::start();
    let unpack = "rm -rf teradici*; tar xzf *.tar.gz; cd teradici-pcoip-cmsg-bundle";
    let table = [
        (
            "printf x | dd of=$(echo dependencies/of-a-test*) conv=notrunc",
            "the bundle is damaged; nothing is installed",
        ),
        (
            "sed -i s/images/imagez/ manifest.json",
            "  missing: pcoip-cmsg-imagez.tar\n  not listed: pcoip-cmsg-images.tar",
        ),
        ("rm dependencies/of-a-test*", "  missing: dependencies/of-a-test-"),
        ("touch dependencies/more.rpm", "  not listed: dependencies/more.rpm"),
        ("cp pcoip-cmsg-images.tar ..; ln -sf ../pcoip-cmsg-images.tar .", "has links or devices"),
        ("rm manifest.json", "has no `manifest.json`"),
    ];
    for (harm, expected) in table {
        let output = site.run("el9", &format!("{unpack}; {harm}; ./pcoip-cmsg-setup-offline.sh"));

        assert_eq!(output.status.code(), Some(3), "{harm}: {}", said(&output));
        assert!(said(&output).contains(expected), "{harm}: {}", said(&output));
        assert_eq!(site.noted(), "", "{harm}");
    }
    let output = site.run("el10", &format!("{unpack}; ./pcoip-cmsg-setup-offline.sh"));
    let expected = "error: the bundle has no package of the product for this host, which is el10";
    assert!(said(&output).contains(expected), "{}", said(&output));
    let output =
        site.run("el9", &format!("{unpack}; setpriv --reuid 65534 ./pcoip-cmsg-setup-offline.sh"));
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("run it with `sudo`"), "{}", said(&output));
    assert_eq!(site.noted(), "");
}
