//! A machine with the installer, a simulated broker and a simulated agent.

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::Output,
};

use e2e::{
    binaries,
    hosts::process::Process,
    installer::{self, INSTALL_ON_HOST, told, with},
    machine::Machine,
    needs::{Need, met},
};
use serde_json::Value;

/// The files with users and groups.
const USERS: [&str; 4] = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"];
/// Where only the installer leaves files on a new machine.
const PLACES: &str = "ls -dA /opt/teradici /var/log/Teradici /var/lib/.pcoip-cmsg* \
                      /etc/systemd/system/{,multi-user.target.wants/}pcoip-cmsg* 2>/dev/null; true";

/// Simulates `systemctl` if systemd is not the first process.
const SYSTEMCTL: &str = include_str!("systemctl.sh");

/// The address for clients.
const ADDRESS: &str = "192.0.2.1/32";

/// The machine; nothing is installed on it at first.
pub(crate) struct Site {
    pub(crate) machine: Machine,
    /// They run until it is gone.
    _simulators: Option<[Process; 2]>,
    /// Whether `systemctl` is the one below.
    is_booted: bool,
}

impl Site {
    /// A new machine, if the requirements of the tests are met.
    pub(crate) fn fresh() -> Option<Self> {
        let tools = ["ip", "unshare", "useradd", "userdel", "ps", "flock"].map(Need::Tool);
        let needs = [&[Need::Root, Need::Namespace][..], &tools].concat();
        met(&needs).then(|| {
            let machine = Machine::start();
            machine.tell("ip", &["address", "add", ADDRESS, "dev", "lo"]);
            Self { machine, _simulators: None, is_booted: false }
        })
    }

    /// Makes systemd appear to be the machine's first process.
    pub(crate) fn boot(&mut self) {
        self.machine.tell("mkdir", &["-p", "/run/systemd/system", "/run/systemd/units"]);
        let tools = self.machine.folder().join("tools");
        fs::create_dir(&tools).expect("the machine's folder can be written to");
        let mut script = File::create(tools.join("systemctl")).expect("a script can be made");
        script.write_all(SYSTEMCTL.as_bytes()).expect("it can be written");
        script.set_permissions(Permissions::from_mode(0o755)).expect("it can be run");
        self.is_booted = true;
    }

    /// The calls of `systemctl` since the last query, except queries of the state.
    pub(crate) fn calls(&self) -> Vec<String> {
        const TAKE: &str = "cd /run/systemd/units; touch calls; cat calls; rm calls";
        let calls = self.machine.tell("bash", &["-c", TAKE]);
        let changes = calls.lines().filter(|call| !call.starts_with("is-active "));
        changes.map(|call| call.replace("pcoip-cmsg-", "").replace(".service", "")).collect()
    }

    /// Starts the broker and the agent.
    pub(crate) fn simulate(&mut self) {
        let simulator = |kind: &str, words: &str| {
            let mut command = self.machine.command(binaries::path("pcoip-sim"));
            command.arg(kind).args(words.split(' '));
            let mut simulator = Process::start(command);
            simulator.wait_for(|event| event["event"] == "ready");
            simulator
        };
        let agent = "--listen 127.0.0.1:60443 --pcoip-listen 127.0.0.1:5172";
        let broker = "--listen 127.0.0.1:8443 --agent-host localhost --agent-ip 127.0.0.1 \
                      --agent-pcoip-port 5172";
        self._simulators = Some([simulator("agent", agent), simulator("broker", broker)]);
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let setup = binaries::path("pcoip-cmsg-setup");
        let mut command = installer::command(&self.machine, &setup, words);
        if self.is_booted {
            let path = std::env::var("PATH").expect("there is a path");
            let tools = self.machine.folder().join("tools");
            command.env("PATH", format!("{}:{path}", tools.display()));
        }
        command.output().expect("the installer can be run")
    }

    /// Installs both roles with these additional flags. Returns the exit code and the document.
    pub(crate) fn install(&self, more: &[&str]) -> (Option<i32>, Value) {
        let site = ["--broker-url=https://localhost:8443", "--allowed-agents=127.0.0.1"];
        let words = with(&INSTALL_ON_HOST, &site);
        told(&self.run(&[&words[..], more].concat()))
    }

    /// The result of a client's session through the gateway.
    pub(crate) fn session(&self) -> Value {
        let mut client = self.machine.command(binaries::path("pcoip-sim"));
        client.args(["client", "--connect", "https://127.0.0.1", "--passcode", "123456"]);
        client.args(["--user", "u", "--password", "p", "--domain", "example.com"]);
        Process::start(client).end().pop().expect("a client ends with its result")
    }

    /// Owner, group and mode of everything that is installed.
    pub(crate) fn accesses(&self) -> Vec<String> {
        let find = "find /opt/teradici /var/log/Teradici -printf '%u:%g %m %p\\n' | sort -k 3";
        self.machine.tell("bash", &["-c", find]).lines().map(str::to_owned).collect()
    }

    /// The user and the privileges of each process of the daemon.
    pub(crate) fn runs_as(&self) -> Vec<String> {
        const TELL: &str = "for pid in $(pgrep -x pcoip-cmsgd); do \
             echo $(ps -o user:32= $pid) \
                  $(grep -hE '^(Groups|CapPrm|CapBnd|NoNewPrivs):' /proc/$pid/status); done";
        self.machine.tell("bash", &["-c", TELL]).lines().map(str::to_owned).collect()
    }

    /// What an installation changes on a machine, except processes.
    pub(crate) fn state(&self) -> Vec<String> {
        let mut state = USERS.map(|file| self.machine.tell("cat", &[file])).to_vec();
        state.push(self.machine.tell("bash", &["-c", PLACES]));
        state
    }
}
