//! A release: its bytes, its digests, and its packages.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use super::{
    is_ready,
    made::{Made, VERSION, files, rpm, tell, try_to},
    root::Root,
    stub::Stubs,
};

/// Queries of a package and the expected answers.
const QUESTIONS: [(&str, &str); 5] = [
    ("--requires", ""),
    ("--recommends", "docker-ce >= 3:20.10.0\n"),
    ("--conflicts", ""),
    ("--obsoletes", ""),
    // Updates and removals do not start or stop services.
    ("--scripts --triggers --filetriggers", ""),
];

/// All files of a package, except manual pages.
const FILES: [&str; 22] = [
    "-rwxr-xr-x /usr/bin/pcoip-cmsg-setup",
    "drwxr-xr-x /usr/lib/firewalld",
    "drwxr-xr-x /usr/lib/firewalld/services",
    "-rw-r--r-- /usr/lib/firewalld/services/pcoip-cm.xml",
    "-rw-r--r-- /usr/lib/firewalld/services/pcoip-sg.xml",
    "-rw-r--r-- /usr/lib/sysusers.d/pcoip-cmsg.conf",
    "drwxr-xr-x /usr/libexec/pcoip-cmsg-setup",
    "-rwxr-xr-x /usr/libexec/pcoip-cmsg-setup/pcoip-cmsgd",
    "-rw-r--r-- /usr/share/bash-completion/completions/pcoip-cmsg-setup",
    "drwxr-xr-x /usr/share/doc/pcoip-cmsg-setup",
    "-rw-r--r-- /usr/share/doc/pcoip-cmsg-setup/CHANGELOG.md",
    "-rw-r--r-- /usr/share/fish/vendor_completions.d/pcoip-cmsg-setup.fish",
    "drwxr-xr-x /usr/share/licenses/pcoip-cmsg-setup",
    "-rw-r--r-- /usr/share/licenses/pcoip-cmsg-setup/0001-static-glibc.md",
    "-rw-r--r-- /usr/share/licenses/pcoip-cmsg-setup/LGPL-2.1.txt",
    "-rw-r--r-- /usr/share/licenses/pcoip-cmsg-setup/LICENSE",
    "-rw-r--r-- /usr/share/licenses/pcoip-cmsg-setup/LICENSES-OF-CRATES.txt",
    "-rw-r--r-- /usr/share/man/man1/pcoip-cmsg-setup.1.gz",
    "drwxr-xr-x /usr/share/pcoip-cmsg-setup",
    "-rw-r--r-- /usr/share/pcoip-cmsg-setup/pcoip-cmsg-images.tar",
    "-rw-r--r-- /usr/share/pcoip-cmsg-setup/pcoip-cmsg.cil",
    "-rw-r--r-- /usr/share/zsh/site-functions/_pcoip-cmsg-setup",
];

#[test]
fn a_release_is_the_same_when_it_is_made_again_and_its_digests_and_packages_hold() {
    if !is_ready() {
        return;
    }
    let (made, again) = (Made::with(&[]), Made::with(&["--for", "el9"]));

    let (all, others) = (files(&made.folder()), files(&again.folder()));
    // Each configures dnf for its own directory.
    let same =
        |file: &&PathBuf| !file.ends_with("pcoip-cmsg.repo") && !file.ends_with("SHA256SUMS");
    let compared: Vec<_> = others.keys().filter(same).collect();
    assert_eq!(compared.len(), 7, "{compared:?}");
    for file in compared {
        assert!(all[file] == others[file], "{} differs", file.display());
    }
    digests_hold(&made, &all);
    for system in ["el8", "el9"] {
        let name = format!("pcoip-cmsg-setup-{VERSION}-1.{system}.x86_64.rpm");
        assert_eq!(made.package(system), made.folder().join(system).join(name));
        judge(&made, system);
    }
    lint(&made);
    let list = &all[&PathBuf::from(format!("pcoip-cmsg-setup-{VERSION}.cdx.json"))];
    let list: Value = serde_json::from_slice(list).expect("the list is JSON");
    assert_eq!(list["metadata"]["component"]["version"], VERSION);
    assert!(list["components"].as_array().is_some_and(|all| all.len() > 100));
}

fn digests_hold(made: &Made, all: &BTreeMap<PathBuf, Vec<u8>>) {
    let mut check = Command::new("sha256sum");
    let said = tell(check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(made.folder()));

    let held: Vec<_> = said.lines().map(|line| line.trim_end_matches(": OK")).collect();
    let files: Vec<_> = all.keys().filter(|file| !file.ends_with("SHA256SUMS")).collect();
    assert_eq!(
        held,
        files.iter().map(|file| file.to_str().expect("its name is text")).collect::<Vec<_>>()
    );
}

fn judge(made: &Made, system: &str) {
    let package = made.package(system);
    let database = tempfile::tempdir().expect("a temporary folder can be made");
    let ask = |words: &str| {
        let mut rpm = rpm(database.path());
        tell(rpm.arg("-qp").args(words.split(' ')).arg(&package))
    };

    let said = tell(rpm(database.path()).arg("-K").arg(&package));
    assert!(said.ends_with(": digests OK\n"), "{said}");
    assert_eq!(ask("--queryformat %{EVR}.%{ARCH}"), format!("1:{VERSION}-1.{system}.x86_64"));
    for (question, answer) in QUESTIONS {
        let said: String = ask(question).lines().filter(|it| !it.starts_with("rpmlib(")).collect();
        assert_eq!(said, answer.trim_end(), "{question}");
    }
    let listed = ask("--queryformat [%{FILEMODES:perms}\\t%{FILENAMES}\\n]");
    let listed = listed.replace('\t', " ");
    let is_page = |line: &&str| line.contains("/man1/pcoip-cmsg-setup-");
    let (pages, files): (Vec<_>, Vec<_>) = listed.lines().partition(is_page);
    assert_eq!(files, FILES);
    assert!(pages.contains(&"-rw-r--r-- /usr/share/man/man1/pcoip-cmsg-setup-install.1.gz"));
}

fn lint(made: &Made) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rpm");
    let mut rpmlint = Command::new("rpmlint");
    rpmlint.arg("--config").arg(format!("{root}/rpmlint.toml"));
    rpmlint.args([made.package("el8"), made.package("el9")]);

    let said = tell(rpmlint.arg(format!("{root}/pcoip-cmsg-setup.spec")));
    assert!(said.contains("2 packages and 1 specfiles checked; 0 errors, 0 warnings"), "{said}");
}

#[test]
fn a_bundle_carries_the_package_and_what_it_is_to_be_installed_with() {
    if !is_ready() {
        return;
    }
    let docker = Stubs::of(&[("docker-ce", 3, "27.0.1")]);
    let others = tempfile::tempdir().expect("a temporary folder can be made");
    std::os::unix::fs::symlink(docker.folder().join("x86_64"), others.path().join("el9"))
        .expect("a link can be made");
    let others = others.path().to_str().expect("its path is text");
    let made = Made::with(&["--for", "el9", "--dependencies", others]);

    let bundle = format!("pcoip-cmsg-setup_darksite-{VERSION}-1.el9.tar.gz");
    let bundle = made.folder().join(bundle);
    let manifest = cmsg_bundles::verify(&bundle, &mut |_, _| true).expect("the bundle is whole");
    let listed: Vec<_> = manifest.files.iter().map(|file| file.path.clone()).collect();
    let expected = [
        "dependencies/docker-ce-27.0.1-1.el9.x86_64.rpm".to_owned(),
        format!("dependencies/pcoip-cmsg-setup-{VERSION}-1.el9.x86_64.rpm"),
        "pcoip-cmsg-images.tar".to_owned(),
        "pcoip-cmsg-setup-offline.sh".to_owned(),
    ];
    assert_eq!(listed, expected);
    assert_eq!((manifest.version.as_str(), manifest.architecture.as_str()), (VERSION, "x86_64"));
    replaces_the_vendor_s(&bundle);
}

/// An update from a bundle as in the guide, where the vendor's package was installed from another
/// bundle.
fn replaces_the_vendor_s(bundle: &Path) {
    let (root, vendor) = (Root::new(), Stubs::of(&[("pcoip-cmsg-setup", 0, "25.03")]));
    root.add_plain("vendor", &vendor.folder());
    root.done("install pcoip-cmsg-setup");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    tell(Command::new("tar").arg("xzf").arg(bundle).arg("--directory").arg(folder.path()));
    let package = folder
        .path()
        .join(cmsg_bundles::FOLDER)
        .join("dependencies")
        .join(format!("pcoip-cmsg-setup-{VERSION}-1.el9.x86_64.rpm"));

    root.done(&format!("install --allowerasing --disablerepo=* {}", package.display()));

    assert_eq!(root.installed(), [format!("pcoip-cmsg-setup-1:{VERSION}-1.el9")]);
}

#[test]
fn a_folder_that_has_something_in_it_is_left_alone() {
    if !is_ready() {
        return;
    }
    let full = tempfile::tempdir().expect("a temporary folder can be made");
    fs::File::create(full.path().join("mine")).expect("a file can be made");

    let mut dist = e2e::binaries::command("xtask");
    dist.args(["dist", "--profile", "dev", "--to"]).arg(full.path());
    let (is_done, said) = try_to(&mut dist);

    assert!(!is_done);
    let expected = format!(
        "error: `{}` is not an empty directory: remove it, or specify another one\n",
        full.path().display()
    );
    assert_eq!(said, expected);
    assert_eq!(files(full.path()).len(), 1);
}
