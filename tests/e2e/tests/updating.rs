//! Newer versions over older ones, and back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use e2e::{
    binaries,
    machine::Machine,
    needs::{Need, met},
};
use serde_json::Value;

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Namespace,
    Need::Tool("dockerd"),
    Need::Tool("unshare"),
    Need::Tool("useradd"),
    Need::Tool("cc"),
];

/// A program that ends at once, in the place of a daemon.
const BROKEN: &str = r#"#include <stdio.h>
int main(void) { fputs("cannot go on: broken on purpose\n", stderr); return 3; }"#;

/// A folder with the installer and the images of a version beside it, as a package brings them.
fn package(folder: &Path, version: &str, daemon: &Path) -> PathBuf {
    let own = folder.join(version);
    fs::create_dir(&own).expect("a folder can be made");
    let setup = own.join("pcoip-cmsg-setup");
    fs::copy(binaries::path("pcoip-cmsg-setup"), &setup).expect("it can be copied");
    let made = binaries::command("xtask")
        .args(["images", "--image-version", version, "--daemon"])
        .arg(daemon)
        .arg("--to")
        .arg(own.join("pcoip-cmsg-images.tar"))
        .output()
        .expect("`xtask` starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    setup
}

/// The static daemon that the tests' images were made of.
fn daemon() -> PathBuf {
    binaries::folder()
        .parent()
        .expect("it has one")
        .join("x86_64-unknown-linux-gnu/debug/pcoip-cmsgd")
}

fn broken_daemon(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("broken.c"), folder.join("broken"));
    fs::write(&source, BROKEN).expect("it can be written");
    let built = Command::new("cc").arg("-static").arg("-o").args([&program, &source]).status();
    assert!(built.expect("`cc` starts").success());
    program
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_update_keeps_the_settings_and_goes_back_by_itself_or_when_told() {
    if !met(NEEDS) {
        return;
    }
    let mut machine = Machine::start();
    machine.start_engine();
    let folder = machine.folder().join("packages");
    fs::create_dir(&folder).expect("a folder can be made");
    let old = package(&folder, "9.0.0", &daemon());
    let new = package(&folder, "9.1.0", &daemon());
    let broken = package(&folder, "9.2.0", &broken_daemon(&folder));
    let run = |setup: &Path, words: &[&str]| {
        let command = &mut machine.command(setup);
        command
            .args(["--non-interactive", "--output=json"])
            .args(words)
            .output()
            .expect("it starts")
    };
    let version = |role: &str| {
        let service = format!("pcoipcm_{role}");
        let format = "{{.Spec.TaskTemplate.ContainerSpec.Image}}";
        let image = machine.tell("docker", &["service", "inspect", "--format", format, &service]);
        let tags = ["image", "inspect", "--format", "{{join .RepoTags \" \"}}", image.trim()];
        machine.tell("docker", &tags).trim().rsplit(':').next().unwrap_or_default().to_owned()
    };
    let both = || ["cm", "sg"].map(version);
    let images = || {
        let all = machine.tell("docker", &["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        let mut all: Vec<_> =
            all.lines().map(|it| it.rsplit(':').next().unwrap().to_owned()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };

    let install = run(
        &old,
        &[
            "install",
            "--accept-policies",
            "--self-signed",
            "--ignore-disk-req",
            "--broker-url=https://127.0.0.1:1",
            "--external-pcoip-ip=192.0.2.1",
        ],
    );
    assert!(install.status.success(), "{}", said(&install));
    assert_eq!(both(), ["9.0.0", "9.0.0"]);
    let nothing = run(&old, &["rollback"]);
    assert_eq!(nothing.status.code(), Some(3), "{}", said(&nothing));

    let updated = run(&new, &["update"]);
    assert!(updated.status.success(), "{}", said(&updated));
    let document: Value = serde_json::from_slice(&updated.stdout).expect("it is a document");
    assert_eq!(document["outcome"], "done");
    assert_eq!(document["settings"]["broker-url"]["value"], "https://127.0.0.1:1");
    assert_eq!(document["restarts"], serde_json::json!(["cm", "sg"]));
    assert_eq!(both(), ["9.1.0", "9.1.0"]);
    assert_eq!(images(), ["9.0.0", "9.1.0"]);

    let failed = run(&broken, &["update"]);
    assert_eq!(failed.status.code(), Some(4), "{}", said(&failed));
    assert!(said(&failed).contains("cannot go on: broken on purpose"), "{}", said(&failed));
    let document: Value = serde_json::from_slice(&failed.stdout).expect("it is a document");
    assert_eq!(document["outcome"], "rolled-back");
    assert_eq!(both(), ["9.1.0", "9.1.0"]);
    assert_eq!(images(), ["9.0.0", "9.1.0"]);

    for (to, other) in [("9.0.0", "9.1.0"), ("9.1.0", "9.0.0")] {
        let back = run(&new, &["rollback"]);
        assert!(back.status.success(), "{}", said(&back));
        assert_eq!(both(), [to, to], "from {other}");
    }
    let status = run(&new, &["status"]);
    assert!(status.status.success(), "{}", said(&status));

    let gone = run(&new, &["uninstall", "--purge", "--yes"]);
    assert!(gone.status.success(), "{}", said(&gone));
    assert_eq!(images(), [""; 0]);
}

#[test]
fn a_daemon_on_the_host_is_replaced_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let root = folder.path().join("site");
    let installed = root.join("opt/teradici/pcoipcm_data/bin/pcoip-cmsgd");
    let old = fs::read(binaries::path("pcoip-cmsgd")).expect("it is built");
    let package = folder.path().join("package");
    fs::create_dir(&package).expect("a folder can be made");
    fs::copy(binaries::path("pcoip-cmsg-setup"), package.join("pcoip-cmsg-setup"))
        .expect("it can be copied");
    let daemon = package.join("pcoip-cmsgd");
    fs::copy(binaries::path("pcoip-cmsgd"), &daemon).expect("it can be copied");
    let run = |words: &[&str]| {
        let mut setup = Command::new(package.join("pcoip-cmsg-setup"));
        setup.args(words).arg("--root").arg(&root).args(["--non-interactive", "--quiet"]);
        let output = setup.output().expect("it starts");
        assert!(output.status.success(), "{words:?}: {}", said(&output));
    };
    let settings = [
        "install",
        "--runtime=host",
        "--accept-policies",
        "--self-signed",
        "--broker-url=https://127.0.0.1:1",
        "--external-pcoip-ip=127.0.0.1",
    ];

    run(&settings);
    // What stands behind a program does not matter to it.
    let new = [&old[..], b"newer"].concat();
    fs::write(&daemon, &new).expect("it can be written");
    run(&["update"]);
    assert!(fs::read(&installed).expect("it is there") == new);

    run(&["rollback"]);
    assert!(fs::read(&installed).expect("it is there") == old);
    run(&["rollback"]);
    assert!(fs::read(&installed).expect("it is there") == new);

    // A change of settings goes back alone.
    run(&["configure", "--license-server-url=https://127.0.0.1:2"]);
    let conf = root.join("opt/teradici/pcoipcm_data/data/ConnectionManager.conf");
    let has_server = || fs::read_to_string(&conf).expect("it is there").contains("127.0.0.1:2");
    assert!(has_server());
    run(&["rollback"]);
    assert!(!has_server());
    assert!(fs::read(&installed).expect("it is there") == new);
    run(&["uninstall", "--purge", "--yes"]);
    assert!(!root.exists());
}
