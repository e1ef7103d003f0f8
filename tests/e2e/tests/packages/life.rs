//! From installation to removal, with dnf and a repository.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::PathBuf,
    process::Command,
};

use super::{
    is_ready,
    made::{Made, VERSION, tell},
    root::Root,
    stub::Stubs,
};

/// Stand-ins for packages of the distribution and Docker.
const OTHERS: [(&str, u32, &str); 4] = [
    ("filesystem", 0, "3.16"),
    ("systemd", 0, "252"),
    ("podman", 2, "4.9.4"),
    ("docker-ce", 3, "27.0.1"),
];

/// Files of an installation before an update, and their permissions.
const KEPT: [(&str, u32); 5] = [
    ("/opt/teradici/pcoipcm_data/data/answers.yaml", 0o600),
    ("/opt/teradici/pcoipcm_data/certs/cmsg.key", 0o640),
    ("/opt/teradici/pcoipcm_data/bin/pcoip-cmsgd", 0o750),
    ("/etc/systemd/system/pcoip-cmsg-security-gateway.service", 0o644),
    ("/var/log/Teradici/SecurityGateway/sg.log", 0o600),
];

/// Files of an installation.
struct Kept(Vec<(PathBuf, u32)>);

impl Kept {
    fn in_root(root: &Root) -> Self {
        let make = |(path, mode): (&str, u32)| {
            let path = root.path(path);
            fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("a folder");
            let mut file = fs::OpenOptions::new();
            let file = file.write(true).create_new(true).mode(mode).open(&path);
            std::io::Write::write_all(
                &mut file.expect("a file"),
                path.as_os_str().as_encoded_bytes(),
            )
            .expect("it can be written");
            (path, mode)
        };
        Self(KEPT.into_iter().map(make).collect())
    }

    fn are_untouched(&self) {
        for (path, mode) in &self.0 {
            let content = fs::read(path).expect("it is there");
            assert_eq!(content, path.as_os_str().as_encoded_bytes());
            let found = path.metadata().expect("it is there").permissions().mode() & 0o7777;
            assert_eq!(found, *mode, "{}", path.display());
        }
    }
}

fn package(release: u32) -> String {
    format!("pcoip-cmsg-setup-1:{VERSION}-{release}.el9")
}

#[test]
fn installing_updating_going_back_and_removing_leave_what_an_installation_has_written() {
    if !is_ready() {
        return;
    }
    let (made, root) = (Made::with(&["--for", "el9"]), Root::new());
    let newer = Made::with(&["--for", "el9", "--package-release", "2"]);
    let others = Stubs::of(&OTHERS);
    root.add_plain("others", &others.folder());
    root.add(&made.folder().join("el9/pcoip-cmsg.repo"));

    root.done("install filesystem systemd podman");
    root.done("install pcoip-cmsg-setup");
    let host = ["filesystem-0:3.16-1.el9", "podman-2:4.9.4-1.el9", "systemd-0:252-1.el9"];
    let with = |ours: &[String]| {
        let mut all = [ours, &["docker-ce-3:27.0.1-1.el9".to_owned()]].concat();
        all.extend(host.map(str::to_owned));
        all.sort();
        all
    };
    assert_eq!(root.installed(), with(&[package(1)]));
    let kept = Kept::in_root(&root);

    root.add_plain("newer", &newer.folder().join("el9"));
    root.done("upgrade");
    assert_eq!(root.installed(), with(&[package(2)]));
    kept.are_untouched();
    root.done("downgrade pcoip-cmsg-setup");
    assert_eq!(root.installed(), with(&[package(1)]));
    kept.are_untouched();
    // Without this option, dnf removes Docker too, which was installed as a dependency.
    root.done("--noautoremove remove pcoip-cmsg-setup");
    assert_eq!(root.installed(), with(&[]));
    kept.are_untouched();
    for gone in [
        "/usr/bin/pcoip-cmsg-setup",
        "/usr/libexec/pcoip-cmsg-setup",
        "/usr/share/pcoip-cmsg-setup",
    ] {
        assert!(!root.path(gone).exists(), "{gone}");
    }
}

#[test]
fn the_package_alone_brings_programs_that_run_and_an_account() {
    if !is_ready() {
        return;
    }
    let (made, root) = (Made::with(&["--for", "el9"]), Root::new());
    root.add(&made.folder().join("el9/pcoip-cmsg.repo"));

    // No repository has Docker or any other package.
    root.done("install pcoip-cmsg-setup");

    assert_eq!(root.installed(), [package(1)]);
    let said = root.tell(&["/usr/bin/pcoip-cmsg-setup", "--version"]);
    assert_eq!(said, format!("pcoip-cmsg-setup {VERSION}\n"));
    let said = root.tell(&["/usr/libexec/pcoip-cmsg-setup/pcoip-cmsgd", "--version"]);
    assert_eq!(said, format!("pcoip-cmsgd {VERSION}\n"));
    fs::create_dir(root.path("/srv")).expect("a folder can be made");
    let planned = root.tell(&[
        "/usr/bin/pcoip-cmsg-setup",
        "install",
        "--runtime=host",
        "--root=/srv/pcoip",
        "--accept-policies",
        "--self-signed",
        "--ignore-disk-req",
        "--broker-url=https://127.0.0.1:1",
        "--external-pcoip-ip=192.0.2.1",
        "--dry-run",
        "--verbose",
    ]);
    assert!(planned.contains("/usr/libexec/pcoip-cmsg-setup/pcoip-cmsgd"), "{planned}");
    // On a real host, a systemd trigger runs it for every package with such a file.
    tell(Command::new("systemd-sysusers").arg(format!("--root={}", root.path("/").display())));
    let entry = |file: &str| {
        let all = fs::read_to_string(root.path(file)).expect("there are users and groups");
        let line = all.lines().find(|line| line.starts_with("pcoip-cmsg:")).expect("and ours");
        line.split(':').map(str::to_owned).collect::<Vec<_>>()
    };
    let (user, group) = (entry("/etc/passwd"), entry("/etc/group"));
    assert_eq!(user[3], group[2], "its group has its name");
    assert!(user[2].parse::<u32>().is_ok_and(|number| (1..1000).contains(&number)), "{user:?}");
    assert_eq!(user[5..], ["/nonexistent", "/usr/sbin/nologin"]);
}
