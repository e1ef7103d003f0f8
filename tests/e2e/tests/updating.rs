//! Newer versions over older ones, and back.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use e2e::{
    binaries,
    installer::{self, INSTALL, INSTALL_ON_HOST, PURGE},
    machine::Machine,
    needs::{Need, met},
    stepped::kill_in,
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
    put(&source, BROKEN.as_bytes());
    let built = Command::new("cc").arg("-static").arg("-o").args([&program, &source]).status();
    assert!(built.expect("`cc` starts").success());
    program
}

/// A new file, also where one runs.
fn put(path: &Path, bytes: &[u8]) {
    let folder = path.parent().expect("it lies in one");
    let mut file = tempfile::NamedTempFile::new_in(folder).expect("a file can be made");
    file.write_all(bytes).expect("it can be written");
    let program = fs::Permissions::from_mode(0o755);
    file.as_file().set_permissions(program).expect("it is ours");
    file.persist(path).expect("it can be put there");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A machine with an engine.
struct Site {
    machine: Machine,
    folder: PathBuf,
}

impl Site {
    fn start() -> Self {
        let machine = installer::machine();
        let folder = machine.folder().join("packages");
        fs::create_dir(&folder).expect("a folder can be made");
        Self { machine, folder }
    }

    /// Runs the installer of a package, which has to end so; returns its document and what it said.
    fn run(&self, setup: &Path, words: &[&str], code: i32) -> (Value, String) {
        let output = installer::run(&self.machine, setup, words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
        (installer::document(&output), said(&output))
    }

    /// The versions of the images that the services run.
    fn running(&self) -> [String; 2] {
        ["pcoipcm_cm", "pcoipcm_sg"].map(|service| {
            let format = "{{.Spec.TaskTemplate.ContainerSpec.Image}}";
            let words = ["service", "inspect", "--format", format, service];
            let image = self.machine.tell("docker", &words);
            let words = ["image", "inspect", "--format", "{{index .RepoTags 0}}", image.trim()];
            version(&self.machine.tell("docker", &words))
        })
    }

    /// The versions of all images.
    fn images(&self) -> Vec<String> {
        let words = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let mut all: Vec<_> = self.machine.tell("docker", &words).lines().map(version).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn version(image: &str) -> String {
    image.trim().rsplit(':').next().unwrap_or_default().to_owned()
}

#[test]
fn an_update_keeps_the_settings_and_goes_back_by_itself_or_when_told() {
    if !met(NEEDS) {
        return;
    }
    let site = Site::start();
    let old = package(&site.folder, "9.0.0", &daemon());
    let new = package(&site.folder, "9.1.0", &daemon());
    let broken = package(&site.folder, "9.2.0", &broken_daemon(&site.folder));

    site.run(&old, &INSTALL, 0);
    assert_eq!(site.running(), ["9.0.0", "9.0.0"]);
    let (nothing, _) = site.run(&old, &["rollback"], 3);
    assert_eq!(nothing["findings"][0]["id"], "installation.no-previous");

    let (updated, _) = site.run(&new, &["update"], 0);
    assert_eq!(updated["outcome"], "done");
    assert_eq!(updated["settings"]["broker-url"]["value"], "https://127.0.0.1:1");
    assert_eq!(updated["restarts"], serde_json::json!(["cm", "sg"]));
    assert_eq!(site.running(), ["9.1.0", "9.1.0"]);
    assert_eq!(site.images(), ["9.0.0", "9.1.0"]);

    let (failed, said) = site.run(&broken, &["update"], 4);
    assert_eq!(failed["outcome"], "rolled-back");
    assert!(said.contains("cannot go on: broken on purpose"), "{said}");
    assert_eq!(site.running(), ["9.1.0", "9.1.0"]);
    assert_eq!(site.images(), ["9.0.0", "9.1.0"]);

    for version in ["9.0.0", "9.1.0"] {
        site.run(&new, &["rollback"], 0);
        assert_eq!(site.running(), [version, version]);
    }
    site.run(&new, &["status"], 0);
    site.run(&new, &PURGE, 0);
    assert_eq!(site.images(), [""; 0]);
}

#[test]
fn an_update_killed_in_a_step_of_the_engine_is_undone_by_the_old_version_or_carried_out_by_the_new()
{
    if !met(NEEDS) {
        return;
    }
    let site = Site::start();
    let steps = [
        "load the images",
        "write the stack file",
        "deploy the stack",
        "wait until the services are healthy",
    ];
    let versions = ["9.0.0", "9.1.0", "9.2.0", "9.3.0", "9.4.0"];
    let packages = versions.map(|version| package(&site.folder, version, &daemon()));
    site.run(&packages[0], &INSTALL, 0);
    for (old, step) in steps.into_iter().enumerate() {
        let new = old + 1;
        let images = site.images();

        kill_in(&site.machine, &packages[new], &["update"], step);
        let (undone, _) = site.run(&packages[old], &["install"], 0);
        assert_eq!(undone["findings"][0]["id"], "installation.interrupted", "{step}");
        assert_eq!(site.running(), [versions[old]; 2], "{step}");
        assert_eq!(site.images(), images, "{step}");

        kill_in(&site.machine, &packages[new], &["update"], step);
        let (done, _) = site.run(&packages[new], &["update"], 0);
        assert_eq!(done["findings"][0]["id"], "installation.interrupted", "{step}");
        assert_eq!(site.running(), [versions[new]; 2], "{step}");
        assert_eq!(site.images(), [versions[old], versions[new]], "{step}");
        site.run(&packages[new], &["status"], 0);
    }
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
    run(&INSTALL_ON_HOST);
    // What stands behind a program does not matter to it.
    let new = [&old[..], b"newer"].concat();
    put(&daemon, &new);
    run(&["update"]);
    assert!(fs::read(&installed).expect("it is there") == new);

    run(&["rollback"]);
    assert!(fs::read(&installed).expect("it is there") == old);
    run(&["rollback"]);
    assert!(fs::read(&installed).expect("it is there") == new);

    // A change of settings goes back alone.
    run(&["configure", "--license-server-url=https://license.invalid"]);
    let conf = root.join("opt/teradici/pcoipcm_data/data/ConnectionManager.conf");
    let has_server = || fs::read_to_string(&conf).expect("it is there").contains("license.invalid");
    assert!(has_server());
    run(&["rollback"]);
    assert!(!has_server());
    assert!(fs::read(&installed).expect("it is there") == new);
    run(&PURGE);
    assert!(!root.exists());
}
