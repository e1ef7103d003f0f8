//! A role with an invalid configuration exits with 64, is not restarted, and `status` reports the
//! line.

use std::{
    fs,
    io::Write as _,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use cmsg_config::socket::{self, Order, Role, Status};
use e2e::{
    binaries,
    installation::Installation,
    installer::{document, plain},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
/// The exit code of a role that is not restarted.
const BAD_CONFIGURATION: Option<i32> = Some(64);

/// A gateway's directory with a certificate and its key.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder can be made"));
        for name in ["data", "run", "keys"] {
            fs::create_dir(folder.path(name)).expect("a folder can be made");
        }
        for name in ["gateway", "other"] {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
            let made = made.expect("a certificate can be made");
            folder.put(&format!("{name}.crt"), made.cert.pem().as_bytes());
            folder.put(&format!("{name}.key"), made.signing_key.serialize_pem().as_bytes());
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        write(&path, content);
        path
    }

    /// A valid configuration with one line replaced.
    fn conf(&self, line: &str, by: &str) -> String {
        let at = self.0.path().display();
        format!(
            "ListenAddress = 127.0.0.1:0\nUdpSourceAddress = 127.0.0.1:0\n\
             ExternalRoutableIP = 127.0.0.1\nSslCertificate = {at}/gateway.crt\n\
             SslKey = {at}/gateway.key\nJwtVerifyingCertificate = {at}/gateway.crt\n\
             RunDirectory = {at}/run\nLogDirectory = {at}\nDataDirectory = {at}\n"
        )
        .replace(line, by)
    }

    /// The exit code and output of a gateway with this configuration.
    fn run(&self, conf: &[u8]) -> (Option<i32>, String) {
        let conf = self.put("data/SecurityGateway.conf", conf);
        let mut daemon = binaries::command("pcoip-cmsgd");
        daemon.args(["security-gateway", "--config"]).arg(conf);
        let output = daemon.output().expect("the daemon starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The file that it left for `status`.
    fn rejected(&self) -> Value {
        let text = fs::read(self.path("run/sg.rejected")).expect("the role has left its reasons");
        serde_json::from_slice::<Value>(&text).expect("it is JSON")["problems"].take()
    }
}

/// A line of a valid configuration, its replacement, and the expected problem.
fn bad_lines(at: &str) -> [[String; 3]; 6] {
    let certificate = format!("SslCertificate = {at}/gateway.crt");
    let key = format!("SslKey = {at}/gateway.key");
    let logs = format!("LogDirectory = {at}");
    [
        [
            "ListenAddress = 127.0.0.1:0".to_owned(),
            "ListenAddress = here".to_owned(),
            "line 1: `ListenAddress`: invalid socket address syntax".to_owned(),
        ],
        [
            certificate.clone(),
            "SslCertificate = /none".to_owned(),
            "line 4: `SslCertificate`: reading certificates from `/none`: it does not exist \
             (No such file or directory, os error 2)"
                .to_owned(),
        ],
        [
            certificate,
            format!("SslCertificate = {at}/empty.crt"),
            format!(
                "line 4: `SslCertificate`: reading certificates from `{at}/empty.crt`: contains no \
                 PEM certificate; use a PEM file that contains a certificate"
            ),
        ],
        [
            key.clone(),
            format!("SslKey = {at}/keys"),
            format!(
                "line 5: `SslKey`: reading the private key `{at}/keys`: it is a directory (Is a \
                 directory, os error 21)"
            ),
        ],
        [
            key,
            format!("SslKey = {at}/other.key"),
            format!(
                "line 5: `SslKey`: using certificate `{at}/gateway.crt` with key `{at}/other.key`: \
                 keys may not be consistent: KeyMismatch"
            ),
        ],
        [
            logs.clone(),
            format!("{logs}/none"),
            format!("line 8: `LogDirectory`: creating log file `{at}/none/pcoip-sg_"),
        ],
    ]
}

#[test]
fn a_bad_value_or_file_ends_a_role_with_64() {
    let folder = Folder::new();
    folder.put("empty.crt", b"");
    for [line, by, why] in bad_lines(&folder.0.path().display().to_string()) {
        let (code, told) = folder.run(folder.conf(&line, &by).as_bytes());

        assert_eq!(code, BAD_CONFIGURATION, "{by}: {told}");
        assert!(told.contains(&why), "{by}: {told}");
        let rejected = folder.rejected();
        let problems = rejected.as_array().expect("it is a list");
        assert_eq!(problems.len(), 1, "{by}: {rejected:#}");
        assert!(problems[0].as_str().is_some_and(|it| it.starts_with(&why)), "{by}: {rejected:#}");
    }
    let (code, told) = folder.run(b"ListenAddress = \xff\n");
    assert_eq!(code, BAD_CONFIGURATION, "{told}");
    assert!(folder.rejected()[0].as_str().is_some_and(|it| it.contains("line 1 is not UTF-8")));
}

#[test]
fn a_port_that_is_taken_is_no_bad_configuration() {
    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it is bound");
    assert_eq!(folder.run(b"").0, BAD_CONFIGURATION);
    assert!(folder.path("run/sg.rejected").exists());

    let listen = format!("ListenAddress = {taken}");
    let (code, told) = folder.run(folder.conf("ListenAddress = 127.0.0.1:0", &listen).as_bytes());

    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("Address already in use"), "{told}");
    assert!(!folder.path("run/sg.rejected").exists(), "{told}");
}

fn write(path: &Path, content: &[u8]) {
    let mut file = fs::File::create(path).expect("a file can be made");
    file.write_all(content).expect("a file can be written");
}

fn status(site: &Installation, role: Role) -> Option<Status> {
    socket::get(&site.paths().run(), role, "/status", PATIENCE).ok()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

/// Kills a role, and waits until the process is gone.
fn end(pid: u32) {
    let process = Pid::from_raw(i32::try_from(pid).expect("it is a number"));
    kill(process, Signal::SIGKILL).expect("it is ours");
    wait_for("it lives on", || !Path::new(&format!("/proc/{pid}")).exists());
}

/// Both roles, with two invalid lines at the end of the gateway's configuration.
struct Edited {
    site: Installation,
    conf: PathBuf,
    good: String,
    problems: [String; 2],
}

impl Edited {
    fn new() -> Self {
        let site = Installation::start();
        let conf = site.paths().security_gateway_conf();
        let good = fs::read_to_string(&conf).expect("it can be read");
        let line = good.lines().count() + 1;
        let bad = format!("{good}TagSeconds = soon\nResumeSeconds = 0\n");
        write(&conf, bad.as_bytes());
        let wanted = "is not a number of seconds from 1 to 86400";
        let problems = [
            format!("line {line}: `TagSeconds`: `soon` {wanted}"),
            format!("line {}: `ResumeSeconds`: `0` {wanted}", line + 1),
        ];
        Self { site, conf, good, problems }
    }

    fn rejected(&self) -> PathBuf {
        self.site.paths().run().join("sg.rejected")
    }

    /// The exit code of `status`, its standard output and its standard error.
    fn status(&self) -> (Option<i32>, String, String) {
        let mut command = binaries::command("pcoip-cmsg-setup");
        let shown = command.arg("status").arg("--root").arg(self.site.root());
        let shown = plain(shown).output().expect("it starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (shown.status.code(), text(&shown.stdout), text(&shown.stderr))
    }

    /// The command that starts the role again.
    fn start(&self) -> String {
        format!("`pcoip-cmsg-setup install --root {}`", self.site.root().display())
    }
}

#[test]
fn a_rejected_configuration_is_not_retried() {
    let edited = Edited::new();
    let [manager, gateway] = edited.site.pids();
    end(gateway);
    wait_for("the gateway does not end", || edited.rejected().exists());
    // A role that is restarted twice pauses for a second.
    let mut before = manager;
    for _ in 0..2 {
        end(before);
        wait_for("the manager is not restarted", || {
            status(&edited.site, Role::Cm).is_some_and(|it| it.pid != before)
        });
        before = status(&edited.site, Role::Cm).expect("it runs").pid;
    }

    let log = fs::read_to_string(edited.site.paths().logs().join("supervise.log"));
    let log = log.expect("the supervisor logs");
    assert_eq!(log.matches("error: in configuration").count(), 1, "{log}");
    assert_eq!(
        log.matches("the service stays stopped until you fix it and start the service again")
            .count(),
        1,
        "{log}"
    );
}

#[test]
fn status_names_the_lines_that_a_role_rejects_and_install_starts_it_when_they_are_good() {
    let edited = Edited::new();
    let site = &edited.site;
    let [manager, gateway] = site.pids();
    end(gateway);
    wait_for("the gateway does not end", || edited.rejected().exists());

    let (code, _, told) = edited.status();
    assert_eq!(code, Some(1), "{told}");
    for problem in &edited.problems {
        let what = format!("error: `{}`: {problem}\n", edited.conf.display());
        assert!(told.contains(&what), "{what}\n{told}");
    }
    let hint = format!("hint: correct it, then restart the service: {}\n", edited.start());
    assert!(told.contains(&hint) && !told.contains("supervise.log"), "{told}");
    let role = &document(&site.run(&["status"]))["roles"]["sg"];
    assert_eq!((&role["live"], &role["problems"]), (&json!(false), &json!(edited.problems)));
    let refused = document(&site.run(&["install"]));
    assert_eq!(refused["outcome"], json!("refused"), "{refused:#}");

    write(&edited.conf, edited.good.as_bytes());
    let (_, shown, told) = edited.status();
    let reason = "\n  its configuration was invalid; a file has changed since\n";
    assert!(shown.contains("\nsecurity gateway    stopped ") && shown.contains(reason), "{shown}");
    assert!(told.contains(&edited.start()) && !told.contains("TagSeconds"), "{told}");
    let done = site.done(&["install"]);

    assert_eq!(done["restarts"], json!([]));
    assert_eq!(status(site, Role::Cm).map(|it| it.pid), Some(manager));
    assert!(status(site, Role::Sg).is_some() && !edited.rejected().exists());
    assert!(document(&site.run(&["status"]))["roles"]["sg"].get("problems").is_none());
}

#[test]
fn a_supervisor_starts_the_role_whose_configuration_is_good() {
    let site = Installation::start();
    let conf = site.paths().security_gateway_conf();
    let good = fs::read_to_string(&conf).expect("it can be read");
    let supervisor = fs::read_to_string(site.paths().run().join("supervise.pid"));
    let supervisor = supervisor.expect("it runs").trim().parse().expect("it is a number");
    let stopped = kill(Pid::from_raw(supervisor), Signal::SIGTERM);
    stopped.expect("it is ours");
    wait_for("it lives on", || !Path::new(&format!("/proc/{supervisor}")).exists());
    write(&conf, good.replace("SslKey = ", "SslKey = /none").as_bytes());

    let mut daemon = Command::new(site.paths().daemon());
    let daemon = daemon.args(["supervise", "--base"]).arg(site.paths().base());
    let mut daemon = daemon.stderr(std::process::Stdio::null()).spawn().expect("it starts");
    let rejected = site.paths().run().join("sg.rejected");
    wait_for("the gateway does not end", || rejected.exists());
    wait_for("the manager does not start", || status(&site, Role::Cm).is_some());
    let order = |order| socket::order(&site.paths().run(), Role::Sg, order, PATIENCE);
    order(Order::Stop).expect("a role that rests can be stopped");
    write(&conf, good.as_bytes());
    order(Order::Start).expect("it can be started");
    wait_for("the gateway does not start", || status(&site, Role::Sg).is_some());

    let pid = Pid::from_raw(i32::try_from(daemon.id()).expect("it is a number"));
    kill(pid, Signal::SIGTERM).expect("it is ours");
    assert!(daemon.wait().expect("it ends").success());
}
