//! The demonstration of the README.

use std::{
    fs::Permissions,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use e2e::{
    binaries,
    needs::{Need, met},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use tempfile::TempDir;

/// The document of `--output json`: these keys and no others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: u32,
    outcome: String,
    layout: String,
    stages: Vec<Stage>,
    tcp: Bytes,
    udp: Udp,
    health: String,
    resumed: Option<Resumed>,
    error: Option<String>,
    left_behind: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    name: String,
    ms: f64,
    ok: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resumed {
    times: u64,
    silence_ms: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bytes {
    to_agent: u64,
    to_client: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Udp {
    to_agent: Amount,
    to_client: Amount,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Amount {
    datagrams: u64,
    bytes: u64,
}

const STAGES: [&str; 10] = [
    "hello",
    "authenticate",
    "second-factor",
    "list",
    "allocate",
    "launch-session",
    "announce",
    "tls",
    "udp",
    "bye",
];

/// A demonstration with its own directory for temporary files.
struct Demo {
    command: Command,
    folder: TempDir,
}

impl Demo {
    fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = binaries::command("xtask");
        command.arg("demo").arg("--binaries").arg(binaries::folder()).args(arguments);
        command.env("TMPDIR", folder.path()).stdin(Stdio::null());
        Self { command, folder }
    }

    fn is_empty(&self) -> bool {
        let mut left = std::fs::read_dir(self.folder.path()).expect("the folder can be read");
        left.next().is_none()
    }
}

fn document(output: &Output) -> Document {
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn assert_done(output: &Output, layout: &str) {
    let document = document(output);
    assert_eq!((document.error.as_deref(), document.outcome.as_str()), (None, "done"));
    assert!(output.status.success());
    assert_eq!((document.schema, document.layout.as_str()), (1, layout));
    let names: Vec<_> = document.stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, STAGES);
    assert!(document.stages.iter().all(|stage| stage.ok && stage.ms > 0.0));
    assert!(document.udp.to_agent.datagrams >= 200 && document.udp.to_client.datagrams >= 200);
    assert!(document.udp.to_agent.bytes > 0 && document.udp.to_client.bytes > 0);
    assert!(document.tcp.to_agent > 0 && document.tcp.to_client > 0);
    assert!(document.health.starts_with("https://127.0.0.1:"));
    assert!(document.health.ends_with("/health"));
    assert_eq!(document.left_behind, [""; 0]);
    assert!(document.resumed.is_none());
}

#[test]
fn a_session_goes_on_after_its_gateway_was_killed() {
    for layout in ["little", "big", "scrambled"] {
        let mut demo = Demo::new(&["--output", "json", "--layout", layout, "--kill-gateway"]);

        let output = demo.command.output().unwrap();

        let document = document(&output);
        assert_eq!((document.error.as_deref(), document.outcome.as_str()), (None, "done"));
        let resumed = document.resumed.expect("the control connection was lost and is back");
        assert_eq!(resumed.times, 1);
        // Ten times the promised value, for a busy machine.
        assert!(resumed.silence_ms < 20_000.0, "{resumed:?}");
        assert!(demo.is_empty());
    }
}

#[test]
fn it_is_done_in_every_layout_twice_at_once_and_leaves_nothing() {
    for layout in ["little", "big", "scrambled"] {
        let mut demos = [(); 2].map(|()| Demo::new(&["--output", "json", "--layout", layout]));
        let running = demos.each_mut().map(|demo| {
            let command = demo.command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        });

        let outputs = running.map(|child| child.wait_with_output().unwrap());

        outputs.iter().for_each(|output| assert_done(output, layout));
        assert!(demos.iter().all(Demo::is_empty));
    }
}

#[test]
fn it_tells_a_person_every_stage() {
    let mut demo = Demo::new(&[]);

    let output = demo.command.output().unwrap();

    let told = String::from_utf8(output.stdout).unwrap();
    for stage in STAGES {
        let line = told.lines().find(|line| line.split_whitespace().next() == Some(stage));
        assert!(line.is_some_and(|line| line.ends_with(" ms  ok")), "{stage}: {told}");
    }
    assert!(told.contains("\nudp to client        200 datagrams     240000 bytes\n"), "{told}");
    assert!(told.ends_with("\ndone\n"), "{told}");
    assert!(output.status.success() && demo.is_empty());
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    let mut demo = Demo::new(&[]);
    let mut child = demo.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();

    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let status = child.wait().unwrap();

    assert!(first.starts_with("health "), "{first}");
    assert!(rest.ends_with("\nfailed          interrupted\n"), "{rest}");
    assert_eq!(status.code(), Some(130));
    assert!(demo.is_empty());
}

/// Copies the binaries to a directory where any user may run them.
fn for_everybody(folder: &Path) {
    let open = Permissions::from_mode(0o1777);
    std::fs::set_permissions(folder, open).expect("the folder is ours");
    for name in ["xtask", "pcoip-cmsg-setup", "pcoip-cmsgd", "pcoip-sim"] {
        std::fs::copy(binaries::path(name), folder.join(name)).expect("a binary can be copied");
    }
}

#[test]
fn nobody_in_particular_can_run_it_while_others_have_the_usual_ports() {
    if !met(&[Need::Root, Need::Tool("setpriv")]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for_everybody(folder.path());
    // Ports that are already in use are fine too.
    let any = Ipv4Addr::UNSPECIFIED;
    let _taken = [443, 4172].map(|port| TcpListener::bind((any, port)));
    let _taken_too = [4172, 55000].map(|port| UdpSocket::bind((any, port)));

    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--"])
        .arg(folder.path().join("xtask"))
        .args(["demo", "--output", "json", "--binaries"])
        .arg(folder.path())
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .output()
        .unwrap();

    assert_done(&output, "little");
}
