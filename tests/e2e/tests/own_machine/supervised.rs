//! Without systemd: the daemon's supervisor, running as the service account.

use e2e::installer::document;
use serde_json::json;

use crate::installed::Site;

/// Only the privilege to bind ports below 1024.
pub(crate) const RIGHTS: &str = "pcoip-cmsg NoNewPrivs: 1 Groups: CapPrm: 0000000000000400 \
                      CapBnd: 0000000000000400";

/// Sorted, since the order depends on the kernel.
pub(crate) fn sorted(words: &str) -> Vec<&str> {
    let mut words: Vec<_> = words.split_whitespace().collect();
    words.sort_unstable();
    words
}

/// The files of the roles and the installer, without the names of logs.
const ACCESSES: &str = "\
root:root 755 /opt/teradici
root:pcoip-cmsg 750 /opt/teradici/pcoipcm_data
root:pcoip-cmsg 750 /opt/teradici/pcoipcm_data/bin
root:pcoip-cmsg 750 /opt/teradici/pcoipcm_data/bin/pcoip-cmsgd
root:pcoip-cmsg 750 /opt/teradici/pcoipcm_data/certs
root:pcoip-cmsg 640 /opt/teradici/pcoipcm_data/certs/cmsg.crt
root:pcoip-cmsg 640 /opt/teradici/pcoipcm_data/certs/cmsg.key
root:pcoip-cmsg 640 /opt/teradici/pcoipcm_data/certs/jwt-signing.key
root:pcoip-cmsg 640 /opt/teradici/pcoipcm_data/certs/jwt-verifying.crt
root:pcoip-cmsg 750 /opt/teradici/pcoipcm_data/data
root:root 600 /opt/teradici/pcoipcm_data/data/answers.yaml
root:pcoip-cmsg 640 /opt/teradici/pcoipcm_data/data/ConnectionManager.conf
root:root 600 /opt/teradici/pcoipcm_data/data/installation.json
root:pcoip-cmsg 640 /opt/teradici/pcoipcm_data/data/SecurityGateway.conf
root:root 700 /opt/teradici/pcoipcm_data/data/secrets
pcoip-cmsg:pcoip-cmsg 700 /opt/teradici/pcoipcm_data/state
pcoip-cmsg:pcoip-cmsg 600 /opt/teradici/pcoipcm_data/state/connection-manager.sessions
pcoip-cmsg:pcoip-cmsg 600 /opt/teradici/pcoipcm_data/state/security-gateway.journal
pcoip-cmsg:pcoip-cmsg 700 /opt/teradici/pcoipcm_data/run
pcoip-cmsg:pcoip-cmsg 600 /opt/teradici/pcoipcm_data/run/cm.sock
pcoip-cmsg:pcoip-cmsg 600 /opt/teradici/pcoipcm_data/run/sg.sock
pcoip-cmsg:pcoip-cmsg 600 /opt/teradici/pcoipcm_data/run/supervise.lock
pcoip-cmsg:pcoip-cmsg 600 /opt/teradici/pcoipcm_data/run/supervise.pid
pcoip-cmsg:pcoip-cmsg 600 /opt/teradici/pcoipcm_data/run/supervise.sock
root:pcoip-cmsg 750 /var/log/Teradici
pcoip-cmsg:pcoip-cmsg 700 /var/log/Teradici/ConnectionManager
root:root 600 /var/log/Teradici/supervise.log
pcoip-cmsg:pcoip-cmsg 700 /var/log/Teradici/SecurityGateway";

const LOG_NOTES: &str = "/var/log/Teradici/SecurityGateway/notes";

#[test]
fn what_faces_the_network_runs_as_the_account_and_carries_a_session() {
    let Some(mut site) = Site::fresh() else { return };
    site.simulate();
    let before = site.state();

    let (code, document) = site.install(&[]);

    assert_eq!(code, Some(0), "{document:#}");
    let rights = site.runs_as();
    assert_eq!(rights.len(), 3, "the supervisor and two roles: {rights:?}");
    for process in &rights {
        assert_eq!(sorted(process), sorted(RIGHTS));
    }
    let result = site.session();
    assert_eq!(result["error"], json!(null), "{result}");
    let (logs, files): (Vec<_>, Vec<_>) =
        site.accesses().into_iter().partition(|line| line.ends_with(".log") && line.contains('_'));
    let logs_are_ours = |log: &String| log.starts_with("pcoip-cmsg:pcoip-cmsg 600 ");
    assert!(logs.len() == 2 && logs.iter().all(logs_are_ours), "{logs:?}");
    let mut expected: Vec<_> = ACCESSES.lines().collect();
    // A role may be replacing its file at the moment.
    let is_whole = |file: &&str| !file.ends_with(".new");
    let mut files: Vec<_> = files.iter().map(String::as_str).filter(is_whole).collect();
    expected.sort_unstable();
    files.sort_unstable();
    assert_eq!(files, expected);
    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));
    assert_eq!(site.runs_as(), [""; 0]);
    assert_eq!(site.state(), before);
}

#[test]
fn installing_again_on_the_machine_changes_nothing_and_mends_what_was_opened() {
    let Some(site) = Site::fresh() else { return };
    assert_eq!(site.install(&[]).0, Some(0));
    let steps = |words: &[&str]| {
        let planned = document(&site.run(&[&["install", "--dry-run"], words].concat()));
        let steps = planned["plan"].as_array().cloned().unwrap_or_default();
        steps.iter().map(|step| step["step"].clone()).collect::<Vec<_>>()
    };

    assert_eq!(steps(&["--runtime=host"]), [json!("wait until the services are healthy")]);
    site.machine.tell("chmod", &["644", "/opt/teradici/pcoipcm_data/certs/cmsg.key"]);
    let mends = [json!("set file permissions"), json!("wait until the services are healthy")];
    assert_eq!(steps(&["--runtime=host"]), mends);
    let again = site.run(&["install"]);

    assert_eq!(again.status.code(), Some(0), "{}", document(&again));
    assert_eq!(document(&again)["restarts"], json!([]));
    let key = "root:pcoip-cmsg 640 /opt/teradici/pcoipcm_data/certs/cmsg.key".to_owned();
    assert!(site.accesses().contains(&key));
}

#[test]
fn what_does_not_come_to_life_on_the_machine_leaves_nothing() {
    let Some(site) = Site::fresh() else { return };
    let before = site.state();

    let (code, document) = site.install(&["--daemon=/bin/true"]);

    assert_eq!(code, Some(4), "{document:#}");
    assert_eq!(site.state(), before);
}

#[test]
fn an_account_of_somebody_else_stays_and_that_of_kept_files_too() {
    let Some(site) = Site::fresh() else { return };
    let has_account = || site.state()[0].contains("\npcoip-cmsg:");
    assert_eq!(site.install(&[]).0, Some(0));

    assert_eq!(site.run(&["uninstall", "--yes"]).status.code(), Some(0));
    assert!(has_account(), "its files are there");
    assert_eq!(site.run(&["install"]).status.code(), Some(0));
    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));
    assert!(!has_account());
    site.machine.tell("useradd", &["--system", "--user-group", "pcoip-cmsg"]);
    let before = site.state();
    assert_eq!(site.install(&[]).0, Some(0));
    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));
    assert_eq!(site.state(), before);
}

#[test]
fn a_purge_leaves_files_of_others_and_the_account_that_their_folders_belong_to() {
    let Some(site) = Site::fresh() else { return };
    let base = "/opt/teradici/pcoipcm_data";
    let foreign =
        [format!("{base}/certs/intranet.pem"), format!("{base}/state/notes"), LOG_NOTES.to_owned()];
    assert_eq!(site.install(&[]).0, Some(0));
    for path in &foreign {
        site.machine.tell("touch", &[path]);
    }

    let purged = site.run(&["uninstall", "--yes", "--purge"]);

    let told = String::from_utf8_lossy(&purged.stderr);
    assert_eq!(purged.status.code(), Some(0), "{told}");
    for path in &foreign {
        assert!(told.contains(&format!("kept: `{path}`, which the installer did not")), "{told}");
    }
    assert!(told.contains("kept: the account `pcoip-cmsg`, which owns directories of"), "{told}");
    let find =
        site.machine.command("find").args([base, "/var/log/Teradici", "-type", "f"]).output();
    let left = String::from_utf8_lossy(&find.expect("`find` starts").stdout).into_owned();
    let mut left: Vec<_> = left.lines().collect();
    left.sort_unstable();
    assert_eq!(left, foreign);
    assert!(site.state()[0].contains("\npcoip-cmsg:"));

    for path in &foreign {
        site.machine.tell("rm", &[path]);
    }
    assert_eq!(site.install(&[]).0, Some(0));
    assert_eq!(site.run(&["uninstall", "--yes", "--purge"]).status.code(), Some(0));
}

#[test]
fn two_installers_on_the_machine_do_not_meet() {
    let Some(site) = Site::fresh() else { return };
    assert_eq!(site.install(&[]).0, Some(0));
    let setup = e2e::binaries::path("pcoip-cmsg-setup");
    let mut second = site.machine.command("flock");
    second.arg("/var/lib/.pcoip-cmsg-setup.lock").arg(setup).args(["uninstall", "--yes"]);

    let refused = second.output().expect("`flock` starts");

    assert_eq!(refused.status.code(), Some(3));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("error: another installer is running on this host"), "{told}");
    assert_eq!(site.runs_as().len(), 3);
}
