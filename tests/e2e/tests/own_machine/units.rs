//! With systemd: units. Test machines do not run systemd, so a script simulates `systemctl`, and
//! systemd's own tools check the units.

use std::{fs, os::unix::fs::PermissionsExt as _, os::unix::net::UnixDatagram};

use e2e::{
    installer::document,
    needs::{Need, met},
};
use serde_json::{Value, json};

use crate::{
    installed::Site,
    supervised::{RIGHTS, sorted},
};

const UNITS: [&str; 2] =
    ["pcoip-cmsg-connection-manager.service", "pcoip-cmsg-security-gateway.service"];
const FOLDER: &str = "/etc/systemd/system";
/// In tenths; the worst value is 100.
const EXPOSURE: &str = "--threshold=25";

fn booted() -> Option<Site> {
    let mut site = Site::fresh().filter(|_| met(&[Need::Tool("setpriv")]))?;
    site.boot();
    Some(site)
}

fn steps(document: &Value) -> Vec<&str> {
    let steps = document["plan"].as_array().into_iter().flatten();
    steps.filter_map(|step| step["step"].as_str()).collect()
}

fn pid(site: &Site, role: &str) -> String {
    site.machine.tell("pgrep", &["-f", &format!("^[^ ]*pcoip-cmsgd {role} ")])
}

#[test]
fn what_systemd_runs_has_the_rights_of_its_unit_says_when_it_is_ready_and_carries_a_session() {
    let Some(mut site) = booted() else { return };
    site.simulate();
    let before = site.state();
    let notified = site.machine.path("/run/systemd/notify");
    let socket = UnixDatagram::bind(&notified).expect("a socket can be bound");
    fs::set_permissions(&notified, fs::Permissions::from_mode(0o777)).expect("it can be opened");

    let (code, document) = site.install(&[]);

    assert_eq!(code, Some(0), "{document:#}");
    assert_eq!(
        site.calls(),
        [
            "daemon-reload",
            "enable connection-manager",
            "enable security-gateway",
            "start --no-block connection-manager",
            "start --no-block security-gateway",
        ]
    );
    let rights = site.runs_as();
    assert_eq!(rights.len(), 2, "two roles: {rights:?}");
    rights.iter().for_each(|process| assert_eq!(sorted(process), sorted(RIGHTS)));
    for _ in UNITS {
        let mut said = [0; 64];
        let length = socket.recv(&mut said).expect("a role says so");
        assert_eq!(said[..length].trim_ascii(), b"READY=1");
    }
    let result = site.session();
    assert_eq!(result["error"], json!(null), "{result}");
    let mut find = site.machine.command("find");
    let listed = find.arg(FOLDER).args(["-name", "pcoip-cmsg*", "-printf", "%u:%g %m %y %P\\n"]);
    let listed = String::from_utf8(listed.output().expect("`find` starts").stdout).unwrap();
    let mut listed: Vec<_> = listed.lines().collect();
    listed.sort_unstable();
    let file = |unit: &str| format!("root:root 644 f {unit}");
    let link = |unit: &str| format!("root:root 777 l multi-user.target.wants/{unit}");
    assert_eq!(listed, [UNITS.map(file), UNITS.map(link)].concat());

    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));

    assert_eq!(
        site.calls(),
        [
            "stop connection-manager",
            "stop security-gateway",
            "disable connection-manager",
            "disable security-gateway",
            "daemon-reload",
        ]
    );
    assert_eq!(site.runs_as(), [""; 0]);
    assert_eq!(site.state(), before);
}

#[test]
fn a_changed_flag_restarts_its_unit_alone_and_what_is_down_is_started() {
    let Some(site) = booted() else { return };
    assert_eq!(site.install(&[]).0, Some(0));
    let planned = document(&site.run(&["install", "--dry-run", "--runtime=host"]));
    assert_eq!(steps(&planned), ["wait until the services are healthy"]);
    let gateway = pid(&site, "security-gateway");
    site.calls();

    let changed = site.run(&["configure", "--broker-url=https://127.0.0.1:8443"]);

    assert_eq!(changed.status.code(), Some(0), "{:#}", document(&changed));
    assert_eq!(document(&changed)["restarts"], json!(["cm"]));
    assert_eq!(site.calls(), ["stop connection-manager", "start --no-block connection-manager"]);
    assert_eq!(pid(&site, "security-gateway"), gateway);

    let manager = pid(&site, "connection-manager");
    site.machine.tell(
        "bash",
        &[
            "-c",
            &format!(
                "kill -9 {0}; while kill -0 {0}; do :; done 2>/dev/null; true",
                manager.trim()
            ),
        ],
    );
    let down = site.machine.command(e2e::binaries::path("pcoip-cmsg-setup")).arg("status").output();
    let down = down.expect("the installer can be run");
    assert_eq!(down.status.code(), Some(1));
    let told = String::from_utf8_lossy(&down.stderr).into_owned();
    let cure = "start it with `pcoip-cmsg-setup install --runtime=host`; `journalctl -u \
                pcoip-cmsg-connection-manager.service` shows the cause";
    assert!(told.contains(cure), "{told}");
    assert_eq!(site.run(&["install"]).status.code(), Some(0));
    assert_eq!(site.calls(), ["start --no-block connection-manager"]);

    assert_eq!(site.install(&["--enable-security-gateway=false"]).0, Some(0));
    assert_eq!(
        site.calls(),
        [
            "stop connection-manager",
            "stop security-gateway",
            "disable security-gateway",
            "daemon-reload",
            "start --no-block connection-manager",
        ]
    );
    assert_eq!(site.runs_as().len(), 1);
    assert!(site.machine.path(FOLDER).join(UNITS[0]).exists());
    assert!(!site.machine.path(FOLDER).join(UNITS[1]).exists());
}

#[test]
fn what_systemd_refuses_leaves_nothing() {
    let Some(site) = booted() else { return };
    let before = site.state();
    site.machine.tell("touch", &["/run/systemd/units/refuses"]);

    let (code, document) = site.install(&[]);

    assert_eq!(code, Some(1), "{document:#}");
    let told = document["findings"].to_string();
    assert!(told.contains("Transaction is destructive."), "{told}");
    assert_eq!(site.state(), before);
    let calls = site.calls();
    let undone = ["disable connection-manager", "disable security-gateway", "daemon-reload"];
    assert_eq!(calls[calls.len() - 3..], undone, "{calls:#?}");
}

#[test]
fn a_supervisor_from_before_systemd_gives_way_to_units() {
    let Some(mut site) = Site::fresh().filter(|_| met(&[Need::Tool("setpriv")])) else { return };
    assert_eq!(site.install(&[]).0, Some(0));
    assert_eq!(site.runs_as().len(), 3);
    site.boot();

    let again = site.run(&["install"]);

    assert_eq!(again.status.code(), Some(0), "{:#}", document(&again));
    assert_eq!(document(&again)["restarts"], json!(["cm", "sg"]));
    assert_eq!(site.runs_as().len(), 2);
    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));
    assert_eq!(site.runs_as(), [""; 0]);
}

#[test]
fn systemd_can_read_the_units_and_finds_them_little_exposed() {
    let Some(site) = booted().filter(|_| met(&[Need::Tool("systemd-analyze")])) else { return };
    assert_eq!(site.install(&[]).0, Some(0));

    for unit in UNITS {
        let unit = format!("{FOLDER}/{unit}");
        let mut verify = site.machine.command("systemd-analyze");
        let verified = verify.args(["verify", "--man=no", &unit]).output().expect("it starts");
        let told = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && !told.contains("pcoip-cmsg"), "{told}");
        // The exit code of a role with an invalid configuration.
        let text = fs::read_to_string(site.machine.path(&unit)).expect("it can be read");
        assert!(text.lines().any(|line| line == "RestartPreventExitStatus=64"), "{text}");
        site.machine.tell("systemd-analyze", &["security", "--offline=true", EXPOSURE, &unit]);
    }
}
