//! Files that the service account can plant where root looks.

use std::{
    fs::{self, File},
    io::Write as _,
};

use e2e::{
    binaries,
    installer::{self, document, told},
    needs::{Need, met},
};
use serde_json::{Value, json};

use crate::installed::Site;

const DATA: &str = "/opt/teradici/pcoipcm_data/data";
const STATE: &str = "/opt/teradici/pcoipcm_data/state";
/// A saved previous state that would write where the account may not.
const PLANTED: &str = r#"{"schema":1,"version":"9","has_daemon":false,
    "files":{"/etc/cron.d/planted":"* * * * * root id\n"}}"#;

fn installed() -> Option<Site> {
    let site = Site::fresh().filter(|_| met(&[Need::Tool("setpriv")]))?;
    assert_eq!(site.install(&[]).0, Some(0));
    Some(site)
}

/// Whether the account can run a shell command.
fn as_account(site: &Site, line: &str) -> bool {
    let mut command = site.machine.command("setpriv");
    command.args([
        "--reuid=pcoip-cmsg",
        "--regid=pcoip-cmsg",
        "--clear-groups",
        "bash",
        "-c",
        line,
    ]);
    command.output().expect("`setpriv` starts").status.success()
}

fn plants(site: &Site, name: &str, content: &str) -> bool {
    as_account(site, &format!("umask 077; cat >{DATA}/{name} <<'END'\n{content}\nEND"))
}

/// Makes the directory look like that of versions before `state`.
fn open_data(site: &Site) {
    site.machine.tell("chmod", &["1770", DATA]);
}

/// Makes the installation look like that of a version before `state`, with both roles stopped.
const FORMER: &str = "set -e; cd /opt/teradici/pcoipcm_data
    pid=$(cat run/supervise.pid); kill $pid; while kill -0 $pid 2>/dev/null; do sleep 0.02; done
    mv state/* data/; rmdir state
    sed -i s,pcoipcm_data/state,pcoipcm_data/data, data/*.conf
    for role in connection-manager security-gateway; do
      setpriv --reuid=pcoip-cmsg --regid=pcoip-cmsg --clear-groups touch data/$role.draining
    done";

fn make_former(site: &Site) {
    open_data(site);
    site.machine.tell("chmod", &["g+w", DATA]);
    site.machine.tell("bash", &["-c", FORMER]);
    let path = site.machine.path(format!("{DATA}/installation.json"));
    let text = fs::read_to_string(&path).expect("the record can be read");
    let mut record: Value = serde_json::from_str(&text).expect("it is JSON");
    let folders = record["folders"].as_array_mut().expect("it has the folders");
    folders.retain(|folder| folder != STATE);
    for role in ["cm", "sg"] {
        record["written"][role]["DataDirectory"] = json!([DATA]);
    }
    let mut file = File::create(&path).expect("it can be written");
    file.write_all(record.to_string().as_bytes()).expect("it can be written");
}

/// A daemon that differs from the one beside the installer.
fn other_daemon(site: &Site) -> String {
    let path = site.machine.folder().join("former");
    fs::copy(binaries::path("pcoip-cmsgd"), &path).expect("it can be copied");
    let mut file = File::options().append(true).open(&path).expect("it can be changed");
    file.write_all(b"former").expect("it can be changed");
    path.display().to_string()
}

/// Checks the directories and the configuration after a migration.
fn is_migrated(site: &Site) {
    let accesses = site.accesses();
    for line in [
        format!("root:pcoip-cmsg 750 {DATA}"),
        format!("pcoip-cmsg:pcoip-cmsg 700 {STATE}"),
        format!("pcoip-cmsg:pcoip-cmsg 600 {STATE}/security-gateway.journal"),
        format!("pcoip-cmsg:pcoip-cmsg 600 {STATE}/connection-manager.sessions"),
    ] {
        assert!(accesses.contains(&line), "{line}: {accesses:#?}");
    }
    let confs =
        site.machine.tell("bash", &["-c", &format!("grep -h ^DataDirectory {DATA}/*.conf")]);
    let line = format!("DataDirectory = {STATE}");
    assert_eq!(confs.lines().collect::<Vec<_>>(), [&line, &line]);
    let drained = document(&site.run(&["status"]));
    for role in ["cm", "sg"] {
        let why = drained["roles"][role]["reason"].as_str().unwrap_or_default();
        assert!(why.starts_with("draining"), "{drained:#}");
    }
}

#[test]
fn the_account_makes_nothing_where_the_installer_keeps_its_files() {
    let Some(site) = installed() else { return };

    assert!(!plants(&site, "previous.json", PLANTED));
    assert!(as_account(&site, "touch /opt/teradici/pcoipcm_data/state/own"));
}

#[test]
fn a_former_state_that_the_account_planted_is_refused_and_writes_nothing() {
    let Some(site) = installed() else { return };
    open_data(&site);
    assert!(plants(&site, "previous.json", PLANTED));

    let (code, document) = told(&site.run(&["rollback", "--yes"]));

    assert!(!site.machine.path("/etc/cron.d/planted").exists(), "{document:#}");
    assert_eq!(code, Some(3), "{document:#}");
    let finding = &document["findings"][0];
    assert_eq!(finding["id"], "installation.untrusted");
    let what = finding["what"].as_str().unwrap_or_default();
    assert!(what.contains(&format!("`{DATA}/previous.json` belongs to")), "{what}");
    assert!(what.contains("(pcoip-cmsg)") && what.contains("mode 0600"), "{what}");
}

#[test]
fn an_installation_from_before_state_migrates_and_stays_migrated_when_it_goes_back() {
    let Some(site) = Site::fresh().filter(|_| met(&[Need::Tool("setpriv")])) else { return };
    let before = site.state();
    let former = other_daemon(&site);
    let daemon = format!("--daemon={former}");
    let (code, installed) = site.install(&[&daemon]);
    assert_eq!(code, Some(0), "{installed:#}");
    make_former(&site);
    // Planted files stop the migration before anything changes.
    for name in ["previous.json", "stack.yaml", "SecurityGateway.conf.disabled"] {
        assert!(plants(&site, name, PLANTED));
        let there = site.accesses();
        let (code, refused) = told(&site.run(&["update"]));
        assert_eq!(code, Some(3), "{name}: {refused:#}");
        assert_eq!(refused["findings"][0]["id"], "installation.untrusted", "{refused:#}");
        assert_eq!(site.accesses(), there, "{name}");
        site.machine.tell("rm", &[&format!("{DATA}/{name}")]);
    }

    let (code, updated) = told(&site.run(&["update"]));

    assert_eq!(code, Some(0), "{updated:#}");
    is_migrated(&site);
    let (code, back) = told(&site.run(&["rollback"]));
    assert_eq!(code, Some(0), "{back:#}");
    is_migrated(&site);
    let own = "/opt/teradici/pcoipcm_data/bin/pcoip-cmsgd";
    site.machine.tell("cmp", &[own, &former]);
    let left = site.machine.tell("find", &[DATA, "-user", "pcoip-cmsg"]);
    assert_eq!(left, "", "what the roles have copied is removed");
    assert!(!plants(&site, "previous.json", PLANTED));
    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));
    assert_eq!(site.state(), before);
}

#[test]
fn an_update_that_fails_leaves_an_installation_from_before_state_as_it_was() {
    let Some(site) = installed() else { return };
    make_former(&site);
    let before = site.accesses();

    let (code, document) = told(&site.run(&["install", "--daemon=/bin/true"]));

    assert_eq!(code, Some(4), "{document:#}");
    assert_eq!(site.accesses(), before);
}

#[test]
fn the_installation_is_removed_whose_run_folder_was_there_before() {
    let Some(site) = Site::fresh() else { return };
    site.machine.tell("mkdir", &["-p", "/opt/teradici/pcoipcm_data/run"]);
    assert_eq!(site.install(&[]).0, Some(0));

    let (code, document) = told(&site.run(&["uninstall", "--yes"]));

    assert_eq!(code, Some(0), "{document:#}");
    let left = site.machine.tell("ls", &["-A", "/opt/teradici/pcoipcm_data/run"]);
    assert_eq!(left, "");
}

#[test]
fn what_root_has_in_its_environment_is_not_for_the_account_nor_is_a_core_dump_made() {
    let Some(site) = Site::fresh().filter(|_| met(&[Need::Tool("prlimit")])) else { return };
    let site_flags = ["--broker-url=https://localhost:8443", "--allowed-agents=127.0.0.1"];
    let setup = binaries::path("pcoip-cmsg-setup");
    let words = installer::with(&installer::INSTALL_ON_HOST, &site_flags);
    let mut install = site.machine.command("prlimit");
    installer::plain(&mut install).arg("--core=4096").arg(setup).arg("--output=json").args(words);
    install.env("ROOTS_TOKEN", "of-root-alone").env("TZ", "UTC");
    let (code, document) = told(&install.output().expect("the installer can be run"));
    assert_eq!(code, Some(0), "{document:#}");
    const LOOK: &str = "for pid in $(pgrep -x pcoip-cmsgd); do \
         tr '\\0' '\\n' </proc/$pid/environ; grep 'core file' /proc/$pid/limits; done";

    let seen = site.machine.tell("bash", &["-c", LOOK]);

    assert!(!seen.contains("of-root-alone"), "{seen}");
    assert_eq!(seen.matches("TZ=UTC").count(), 3, "{seen}");
    let limits: Vec<Vec<_>> = seen
        .lines()
        .filter(|line| line.starts_with("Max core file size"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(limits.len(), 3, "{seen}");
    assert!(limits.iter().all(|words| words[4..6] == ["0", "0"]), "{seen}");
}
