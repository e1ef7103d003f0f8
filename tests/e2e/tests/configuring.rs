//! `configure` on a running installation: one flag is enough, and only the affected services
//! restart.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use cmsg_config::{
    ConfFile,
    socket::{self, Role},
};
use e2e::{
    binaries,
    installation::{Installation, until_logged},
    installer::{INSTALL_ON_HOST, document, plain},
    needs::{Need, met},
};
use serde_json::json;

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

/// A CA, and two of its certificates for the same names.
const MAKE: &str = "set -e; cd $0
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 300 \
  -addext keyUsage=keyCertSign,cRLSign
printf 'subjectAltName=DNS:old.example,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >names
for one in one two; do
  openssl req -newkey rsa:2048 -nodes -keyout $one.key -out $one.csr -subj /CN=old.example
  openssl x509 -req -in $one.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 300 -extfile names \
    -out $one.crt
done";

#[test]
fn a_new_certificate_is_shown_and_nothing_restarts() {
    if !met(&[Need::Tool("openssl"), Need::Tool("bash")]) {
        return;
    }
    let made = tempfile::tempdir().expect("a temporary folder can be made");
    let make = Command::new("bash").args(["-c", MAKE]).arg(made.path()).output();
    assert!(make.expect("`bash` starts").status.success());
    let site = Installation::start();
    let file = |flag: &str, name: &str| format!("--{flag}={}/{name}", made.path().display());
    let give = |name: &str| {
        let words = [
            file("ssl-cert", &format!("{name}.crt")),
            file("ssl-key", &format!("{name}.key")),
            file("ca-cert", "ca.crt"),
        ];
        site.done(&[&["configure"][..], &words.each_ref().map(String::as_str)].concat())
    };
    // The configurations must contain the path of the CA certificate.
    assert_eq!(give("one")["restarts"], json!(["cm", "sg"]));
    let before = site.pids();

    let second = give("two");

    assert_eq!(second["restarts"], json!([]));
    assert_eq!(site.pids(), before);
    let steps = second["plan"].as_array().expect("there is a plan").iter();
    let told =
        steps.filter(|it| it["step"].to_string().contains("reload the certificates")).count();
    assert_eq!(told, 2, "{second:#}");
    // Reloaded certificates do not cause a later restart.
    let later = site.done(&["configure", "--agent-port=6000"]);
    assert_eq!(later["restarts"], json!(["cm"]));
}

#[test]
fn a_role_is_taken_away_and_brought_back_while_the_other_runs_on() {
    let site = Installation::start();
    let [cm, _] = site.pids();
    let run = site.paths().run();

    site.done(&["configure", "--enable-security-gateway=false"]);

    let gone = socket::connect(&run, Role::Sg).expect_err("the gateway has ended");
    assert_eq!(gone.kind(), std::io::ErrorKind::NotFound);
    site.done(&["configure", "--enable-security-gateway=true"]);
    let [new_cm, _] = site.pids();
    assert_ne!(new_cm, cm, "the connection manager is told of the gateway");
}

#[test]
fn roles_fit_their_connections_to_the_open_files_that_they_find() {
    if !met(&[Need::Tool("prlimit")]) {
        return;
    }
    let site = Installation::nothing();
    let mut install = Command::new("prlimit");
    plain(&mut install).arg("--nofile=400").arg(binaries::path("pcoip-cmsg-setup"));
    install.args(INSTALL_ON_HOST).arg("--root").arg(site.root());

    let output = install.output().expect("the installer can be run");

    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let paths = site.paths();
    let table = [
        (paths.connection_manager_logs(), 300, 10_000),
        (paths.security_gateway_logs(), 150, 5000),
    ];
    for (folder, limit, configured) in table {
        let log = log(&folder);
        let told = format!(
            "`MaxConnections` is reduced to what the open-file limit allows limit={limit} \
             configured={configured}\n"
        );
        assert!(log.contains(&told), "{log}");
    }
}

/// The log of a role that was started once.
fn log(folder: &Path) -> String {
    until_logged();
    let files = fs::read_dir(folder).expect("the role has a folder");
    let logs = files.map(|file| fs::read_to_string(file.expect("it is there").path()));
    logs.map(|log| log.expect("it can be read")).collect()
}

#[test]
fn nothing_is_configured_where_nothing_is_installed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let root = folder.path().join("none");
    let mut command = binaries::command("pcoip-cmsg-setup");
    command.args(["configure", "--output=json", "--agent-port=1", "--root"]).arg(&root);

    let output = plain(&mut command).output().expect("the installer can be run");

    assert_eq!(output.status.code(), Some(1));
    let finding = &document(&output)["findings"][0];
    let what = format!("there is no installation under `{}`", root.display());
    assert_eq!(finding["what"], json!(what));
    assert_eq!(finding["cure"], json!("specify its directory with `--root DIR`, or install first"));
    assert!(!root.exists());
}

#[test]
fn a_document_has_the_roles_and_its_findings_are_not_printed_too() {
    let site = Installation::start();

    let output = site.run(&["configure", "--agent-port=6000"]);

    let document = document(&output);
    for (key, listener) in [("cm", "broker="), ("sg", "pcoip=")] {
        let role = &document["roles"][key];
        assert_eq!(role["live"], json!(true), "{document:#}");
        assert!(role["listens"].to_string().contains(listener), "{document:#}");
    }
    let findings = document["findings"].as_array().expect("there are findings");
    assert!(findings.iter().any(|finding| finding["id"] == "role.not-ready"), "{document:#}");
    let said = String::from_utf8_lossy(&output.stderr);
    for word in ["warning:", "error:", "hint:"] {
        assert!(!said.contains(word), "{said}");
    }
    let refused = site.run(&["configure", "--agent-port=0"]);
    assert_eq!(String::from_utf8_lossy(&refused.stderr), "");
}

/// The ids of findings about the host.
fn of_host(document: &serde_json::Value) -> Vec<String> {
    let findings = document["findings"].as_array().expect("there are findings").iter();
    let ids = findings.map(|finding| finding["id"].as_str().unwrap_or_default().to_owned());
    ids.filter(|id| id.starts_with("host.")).collect()
}

#[test]
fn warnings_about_the_host_are_not_repeated_by_every_change() {
    let site = Installation::start();
    let limited = |words: &[&str]| {
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -n 2000; exec \"$@\"", "bash"]);
        command.arg(binaries::path("pcoip-cmsg-setup"));
        command.arg("--output=json").args(words).arg("--root").arg(site.root());
        of_host(&document(&plain(&mut command).output().expect("the installer can be run")))
    };
    let limit = |value: &str| {
        for conf in [site.paths().connection_manager_conf(), site.paths().security_gateway_conf()] {
            let mut file = ConfFile::load(&conf).expect("the configuration can be read");
            file.set("MaxConnections", [value]);
            let mut written = File::create(&conf).expect("the configuration can be opened");
            written.write_all(file.render().as_bytes()).expect("it can be written");
        }
    };

    limit("1");
    let first = limited(&["configure"]);
    limit("5000");
    let new = limited(&["configure"]);
    let again = limited(&["configure"]);
    let all = limited(&["validate"]);
    let installed = limited(&["install"]);

    assert_eq!(first, [""; 0], "installing has reported them");
    assert_eq!(new, ["host.file-limit"]);
    assert_eq!(again, [""; 0]);
    assert!(all.contains(&new[0]), "{all:?}");
    assert_eq!(installed, all);
}
