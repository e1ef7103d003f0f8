//! Supervisors that are not recorded any more.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cmsg_config::socket::{Role, get};
use e2e::{binaries, installation::until_logged};
use nix::{
    sys::signal::{Signal, kill},
    sys::stat::Mode,
    unistd::{Pid, mkfifo},
};
use serde_json::{Value, json};

use crate::site::{INSTALL, PURGE, Site, put};

const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon whose supervisor only starts its work when `gate` is opened.
fn late_daemon(site: &Site) -> String {
    mkfifo(&site.beside("gate"), Mode::S_IRWXU).expect("a pipe can be made");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = supervise ] && : >'{0}/started' && read -r _ <'{0}/gate'\n\
         exec '{1}' \"$@\"\n",
        site.beside("").display().to_string().trim_end_matches('/'),
        binaries::path("pcoip-cmsgd").display()
    );
    let daemon = site.beside("daemon");
    put(&daemon, script.as_bytes());
    fs::set_permissions(&daemon, fs::Permissions::from_mode(0o755)).expect("it is ours");
    format!("--daemon={}", daemon.display())
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_supervisor_that_holds_no_lock_yet_ends_with_the_installer_that_started_it() {
    let site = Site::fresh();
    let before = site.tree();
    let daemon = late_daemon(&site);
    let words = [&INSTALL[..], &[&daemon]].concat();
    let steps = site.steps(&words);
    let mut installer = site.start(&words);
    // The last step waits until the roles are healthy.
    assert!(installer.after(steps - 1));
    wait_for("the supervisor does not start", || site.beside("started").exists());

    installer.kill();

    wait_for("the supervisor goes on", || site.processes().is_empty());
    site.is_gone_without_trace(&before);
}

#[test]
fn a_supervisor_that_is_about_to_end_is_not_taken_for_one_that_runs_on() {
    let site = Site::installed();
    let file = site.paths().run().join("supervise.pid");
    let number = fs::read_to_string(&file).expect("there is a supervisor");
    let supervisor = Pid::from_raw(number.trim().parse().expect("it is a number"));
    kill(supervisor, Signal::SIGSTOP).expect("it is ours");
    // It gets a signal to stop, but cannot stop yet.
    site.start(&PURGE).kill_in(1, 3);
    kill(supervisor, Signal::SIGTERM).expect("it is ours");
    let lock = site.root().join(".pcoip-cmsg-setup.lock");
    let mut next = site.command(&["install"]).stdout(Stdio::null()).spawn().expect("it starts");
    let number = format!("\"pid\":{},", next.id());
    wait_for("the next one does not begin", || {
        fs::read_to_string(&lock).is_ok_and(|note| note.contains(&number))
    });

    kill(supervisor, Signal::SIGCONT).expect("it is ours");

    let status = next.wait().expect("it is ours");
    assert_eq!(status.code(), Some(0));
    site.is_live();
}

const RECEIVED: &str = "Received SIGHUP, reloading the configuration, certificates and keys";
const RELOADED: &str = "Reloaded the configuration, certificates and keys";
const FAILED: &str =
    "Nothing was reloaded; the previous settings, certificates and keys stay in use";

/// Number of lines with this text in the logs of both roles and the supervisor.
fn logged(site: &Site, what: &str) -> [usize; 3] {
    until_logged();
    let paths = site.paths();
    let of_role = |folder: PathBuf| {
        let files = fs::read_dir(folder).expect("it is there").flatten();
        files.map(|file| file.path()).collect()
    };
    let logs: [Vec<PathBuf>; 3] = [
        of_role(paths.connection_manager_logs()),
        of_role(paths.security_gateway_logs()),
        vec![paths.logs().join("supervise.log")],
    ];
    logs.map(|files| {
        let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
        texts.map(|text| text.matches(what).count()).sum()
    })
}

#[test]
fn a_hangup_reloads_the_supervised_roles_and_ends_nothing() {
    let site = Site::installed();
    let run = site.paths().run();
    let supervisor = fs::read_to_string(run.join("supervise.pid")).expect("there is a supervisor");
    let pids = || {
        let of_role = |role| -> Value { get(&run, role, "/status", PATIENCE).expect("it answers") };
        [Role::Cm, Role::Sg].map(|role| of_role(role)["pid"].as_i64().expect("it is a number"))
    };
    let before = pids();
    let hang_up = |pid: i64| {
        let pid = Pid::from_raw(pid.try_into().expect("it is a process's"));
        kill(pid, Signal::SIGHUP).expect("it is ours");
    };
    let supervisor = supervisor.trim().parse().expect("it is a number");

    before.into_iter().for_each(hang_up);
    wait_for("the roles do not reload", || logged(&site, RELOADED) == [1, 1, 0]);
    hang_up(supervisor);
    wait_for("the supervisor does not have them reload", || logged(&site, RELOADED) == [2, 2, 0]);
    assert_eq!(logged(&site, RECEIVED), [1, 1, 1]);

    let certificate = site.paths().certs().join("cmsg.crt");
    let whole = fs::read(&certificate).expect("there is a certificate");
    put(&certificate, b"nothing");
    before.into_iter().for_each(hang_up);
    wait_for("a failed reload is not logged", || logged(&site, FAILED)[..2] == [1, 1]);
    hang_up(supervisor);
    wait_for("a failed reload is not logged", || logged(&site, FAILED)[..2] == [2, 2]);
    put(&certificate, &whole);
    hang_up(supervisor);
    wait_for("the roles do not reload again", || logged(&site, RELOADED) == [3, 3, 0]);
    assert_eq!(logged(&site, FAILED), [2, 2, 4], "once for each failure");
    assert_eq!(logged(&site, "Failed to"), [0, 0, 0]);

    assert_eq!(pids(), before);
    assert_eq!(site.processes().len(), 3, "the supervisor and two roles");
    site.is_live();
}

#[test]
fn the_supervisor_of_an_installer_that_ended_well_outlives_it() {
    let site = Site::installed();
    let running = site.processes();

    assert_eq!(running.len(), 3, "the supervisor and two roles: {running:?}");
    site.is_live();
}

#[test]
fn a_number_that_a_killed_supervisor_left_is_not_taken_for_the_next_one() {
    let site = Site::installed();
    let file = site.paths().run().join("supervise.pid");
    let number = fs::read_to_string(&file).expect("there is a supervisor");
    let number = number.trim().parse().expect("it is a number");
    let mut innocent =
        Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("`sleep` starts");

    kill(Pid::from_raw(number), Signal::SIGKILL).expect("it is ours");
    wait_for("its roles go on", || site.processes().is_empty());
    put(&file, innocent.id().to_string().as_bytes());
    let roles = [Role::Cm, Role::Sg].map(Role::socket);
    roles.iter().for_each(|socket| put(&site.paths().run().join(socket), b"no socket"));
    let again = site.done(&["install"]);

    assert_eq!(again["outcome"], json!("done"));
    site.is_live();
    site.done(&["uninstall", "--yes"]);
    assert_eq!(innocent.try_wait().expect("it is ours"), None, "it was not meant");
    innocent.kill().expect("it is ours");
    innocent.wait().expect("it is ours");
}

#[test]
fn a_held_lock_with_the_number_of_something_else_ends_nothing_else() {
    let site = Site::installed();
    let file = site.paths().run().join("supervise.pid");
    let number = fs::read(&file).expect("there is a supervisor");
    let mut innocent =
        Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("`sleep` starts");

    put(&file, innocent.id().to_string().as_bytes());
    let refused = site.run(&["uninstall", "--yes"]);

    assert_eq!(innocent.try_wait().expect("it is ours"), None, "it was not meant");
    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&refused.stderr);
    let what = format!(
        "process {}, which `{}` names, is not the supervisor",
        innocent.id(),
        file.display()
    );
    assert!(complaint.contains(&what), "{complaint}");
    site.is_live();
    innocent.kill().expect("it is ours");
    innocent.wait().expect("it is ours");
    put(&file, &number);
}
