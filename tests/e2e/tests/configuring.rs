//! `configure` on a running installation: one flag is enough, and only whom it concerns restarts.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use cmsg_config::{
    ConfFile, Paths,
    socket::{self, Role, Status},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An installation that runs until the test ends.
struct Installation {
    folder: TempDir,
}

impl Installation {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let installation = Self { folder };
        let document = installation.done(&[
            "install",
            "--runtime=host",
            "--accept-policies",
            "--self-signed",
            "--ignore-disk-req",
            "--broker-url=https://127.0.0.1:1",
            "--external-pcoip-ip=192.0.2.1",
            "--host-address=old.example",
        ]);
        assert_eq!(document["restarts"], json!([]));
        installation
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    fn paths(&self) -> Paths {
        Paths::under(self.root())
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = e2e::binaries::command("pcoip-cmsg-setup");
        command.arg("--output=json").args(words).arg("--root").arg(self.root());
        plain(&mut command).output().expect("the installer can be run")
    }

    fn done(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        let document = document(&output);
        assert_eq!(output.status.code(), Some(0), "{document:#}");
        document
    }

    fn pids(&self) -> [u32; 2] {
        [Role::Cm, Role::Sg].map(|role| {
            let run = self.paths().run();
            let status = socket::get::<Status>(&run, role, "/status", Duration::from_secs(20));
            status.expect("the role answers").pid
        })
    }

    fn values(&self, conf: &Path, key: &str) -> Vec<String> {
        let file = ConfFile::load(conf).expect("the configuration can be read");
        file.values(key).map(|entry| entry.value.to_owned()).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = self.run(&["uninstall", "--yes", "--purge"]);
    }
}

/// Without the settings of whoever runs the tests.
fn plain(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PCOIP_CMSG_")) {
        command.env_remove(name);
    }
    command
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("the installer prints a document")
}

#[test]
fn a_changed_flag_restarts_only_whom_it_concerns() {
    let site = Installation::start();
    let [cm, sg] = site.pids();

    let gateways =
        site.done(&["configure", "--external-sg-ip=192.0.2.7", "--external-sg-ip=192.0.2.8"]);

    assert_eq!(gateways["restarts"], json!(["cm"]));
    assert_eq!(
        gateways["settings"]["external-sg-ip"],
        json!({ "value": ["192.0.2.7", "192.0.2.8"], "from": "flag", "was": [] })
    );
    let conf = site.paths().connection_manager_conf();
    assert_eq!(site.values(&conf, "ExternalSecurityGateway"), ["192.0.2.7", "192.0.2.8"]);
    let [new_cm, same_sg] = site.pids();
    assert_ne!(new_cm, cm);
    assert_eq!(same_sg, sg);

    let replaced = site.done(&["configure", "--external-sg-ip=192.0.2.9"]);
    assert_eq!(replaced["restarts"], json!(["cm"]));
    assert_eq!(site.values(&conf, "ExternalSecurityGateway"), ["192.0.2.9"]);

    let before = site.pids();
    let nobody = site.done(&["configure", "--ignore-disk-req=false"]);
    assert_eq!(nobody["restarts"], json!([]));
    assert_eq!(nobody["settings"]["ignore-disk-req"]["was"], json!(true));
    let planned = site.done(&["configure", "--agent-port=6000", "--dry-run"]);
    assert_eq!((&planned["outcome"], &planned["restarts"]), (&json!("planned"), &json!(["cm"])));
    assert_eq!(site.pids(), before);
    assert_eq!(site.values(&conf, "AgentPort"), [""; 0]);

    let cleared = site.done(&["configure", "--clear-host-address"]);
    assert_eq!(cleared["settings"]["host-address"]["was"], json!(["old.example"]));
    let again = site.done(&["install"]);
    assert_eq!(again["restarts"], json!([]));
    assert_eq!(again["settings"].get("host-address"), None);
}

#[test]
fn a_role_is_taken_away_and_brought_back_while_the_other_runs_on() {
    let site = Installation::start();
    let [cm, _] = site.pids();
    let run = site.paths().run();

    site.done(&["configure", "--enable-security-gateway=false"]);

    let gone = socket::connect(&run, Role::Sg).expect_err("the gateway has ended");
    assert_eq!(gone.kind(), std::io::ErrorKind::ConnectionRefused);
    site.done(&["configure", "--enable-security-gateway=true"]);
    let [new_cm, _] = site.pids();
    assert_ne!(new_cm, cm, "the connection manager is told of the gateway");
}

#[test]
fn nothing_is_configured_where_nothing_is_installed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let root = folder.path().join("none");
    let mut command = e2e::binaries::command("pcoip-cmsg-setup");
    command.args(["configure", "--output=json", "--agent-port=1", "--root"]).arg(&root);

    let output = plain(&mut command).output().expect("the installer can be run");

    assert_eq!(output.status.code(), Some(1));
    let finding = &document(&output)["findings"][0];
    let what = format!("there is no installation under `{}`", root.display());
    assert_eq!(finding["what"], json!(what));
    assert_eq!(finding["cure"], json!("name its folder with `--root DIR`, or install first"));
    assert!(!root.exists());
}
