//! A machine with an engine, and what an installation changes there.

use std::{
    process::Output,
    time::{Duration, Instant},
};

use cmsg_config::{
    Paths,
    socket::{self, Role, Status},
};
pub(crate) use e2e::installer::{INSTALL, PURGE};
use e2e::{
    binaries,
    installer::{self, document},
    machine::Machine,
    needs::{Need, met},
    stepped::{self, Stepped, number},
};
use serde_json::{Value, json};

const NEEDS: &[Need] = &[
    Need::Root,
    Need::Tool("dockerd"),
    Need::Tool("docker"),
    Need::Tool("unshare"),
    Need::Tool("useradd"),
    Need::Namespace,
];

/// Where the data of an installation lies.
const DATA: &str = "/opt/teradici/pcoipcm_data/data";
/// Longer than a service takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// All files that an installation leaves on a machine, outside of its engine.
const FILES: &str = "cat /etc/passwd /etc/group /etc/shadow /etc/gshadow; \
    find /opt /etc/sysctl.d -printf '%y %m %s %p\\n' | sort; ls -d /var/log/Teradici 2>/dev/null; \
    cat /proc/sys/net/ipv4/ip_local_reserved_ports; \
    ps -e -o args= | grep -E 'pcoip-cmsgd|pcoip-cmsg-setup' | grep -v grep; true";
/// All objects that an installation leaves in the engine.
const ENGINE: &str = "docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.NodeID}}'; \
    docker image ls --all --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}' | sort; \
    docker network ls --format '{{.Name}} {{.Driver}}' | sort; \
    docker volume ls --format '{{.Name}}'; \
    docker container ls --all --format '{{.Image}}'; docker service ls --format '{{.Name}}' \
    2>/dev/null; true";

/// The machine; nothing is installed on it at first.
pub(crate) struct Site {
    pub(crate) machine: Machine,
}

impl Site {
    /// A new machine, if the requirements of the tests are met.
    pub(crate) fn fresh() -> Option<Self> {
        met(NEEDS).then(|| Self { machine: installer::machine() })
    }

    /// One with both services.
    pub(crate) fn installed() -> Option<Self> {
        let site = Self::fresh()?;
        site.done(&INSTALL);
        Some(site)
    }

    /// Runs the installer to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        installer::run(&self.machine, &binaries::path("pcoip-cmsg-setup"), words)
    }

    /// Runs a command that must succeed.
    pub(crate) fn done(&self, words: &[&str]) -> Value {
        let output = self.run(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {complaint}");
        document(&output)
    }

    /// Runs a command that must exit with this code, and returns its first error.
    pub(crate) fn fails(&self, words: &[&str], code: i32) -> Value {
        let output = self.run(words);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {complaint}");
        error(&output)
    }

    /// The names of a command's steps.
    pub(crate) fn plan(&self, words: &[&str]) -> Vec<String> {
        stepped::steps(&self.done(&[words, &["--dry-run"]].concat()))
    }

    /// Starts an installer that stops between its steps.
    pub(crate) fn start(&self, words: &[&str]) -> Stepped {
        Stepped::on(&self.machine, &binaries::path("pcoip-cmsg-setup"), words)
    }

    /// Starts an installer, and lets it perform all steps before the one with this name.
    pub(crate) fn start_until(&self, words: &[&str], steps: &[String], last: &str) -> Stepped {
        let mut installer = self.start(words);
        assert!(installer.after(number(steps, last)), "`{last}` is not the last of {steps:?}");
        installer
    }

    /// Runs a line of the shell on the machine.
    pub(crate) fn shell(&self, line: &str) -> String {
        self.machine.tell("bash", &["-c", line])
    }

    /// The state of the machine and its engine.
    pub(crate) fn state(&self) -> Vec<String> {
        let told = [FILES, ENGINE].map(|line| self.shell(line));
        let mut state: Vec<_> =
            told.iter().flat_map(|told| told.lines()).map(str::to_owned).collect();
        // Changes on the real machine do not belong to this one; a lock of the real machine
        // shines through and is kept here.
        let own = std::fs::read_dir(self.machine.folder().join("upper/var/lib"));
        let own = own.expect("it has a folder of its own").flatten();
        let own = own.map(|entry| entry.file_name().to_string_lossy().into_owned());
        state.extend(own.filter(|name| name != ".pcoip-cmsg-setup.lock"));
        state
    }

    /// Checks that the state is the same again, once killed processes have ended.
    pub(crate) fn is_as(&self, before: &[String], when: &str) {
        let begun = Instant::now();
        let mut state = self.state();
        while state != before && begun.elapsed() < Duration::from_secs(5) {
            state = self.state();
        }
        let gone: Vec<_> = before.iter().filter(|line| !state.contains(line)).collect();
        let new: Vec<_> = state.iter().filter(|line| !before.contains(line)).collect();
        assert_eq!((gone, new), (vec![], vec![]), "{when}");
    }

    /// Removes the installation, and checks that nothing is left.
    pub(crate) fn is_gone_without_trace(&self, before: &[String], when: &str) {
        self.done(&PURGE);
        self.is_as(before, when);
    }

    /// The status of a role.
    pub(crate) fn status(&self, role: Role) -> Status {
        let run = Paths::under(self.machine.path("/")).run();
        socket::get(&run, role, "/status", PATIENCE).expect("the role answers")
    }

    /// Checks that both roles respond.
    pub(crate) fn is_live(&self) {
        let status = self.done(&["status"]);
        let roles = &status["roles"];
        assert_eq!([&roles["cm"]["live"], &roles["sg"]["live"]], [&json!(true); 2], "{status:#}");
    }

    /// The running task of each service; empty for one that is not deployed.
    pub(crate) fn tasks(&self) -> [String; 2] {
        ["cm", "sg"].map(|service| {
            let line = format!(
                "docker service ps --quiet --no-trunc --filter desired-state=running pcoipcm_{service} \
                 2>/dev/null; true"
            );
            self.shell(&line).trim().to_owned()
        })
    }

    /// The values of a key of a role's configuration.
    pub(crate) fn values(&self, role: Role, key: &str) -> Vec<String> {
        let paths = Paths::under(self.machine.path("/"));
        let path = match role {
            Role::Cm => paths.connection_manager_conf(),
            Role::Sg => paths.security_gateway_conf(),
        };
        let file = cmsg_config::ConfFile::load(&path).expect("the configuration can be read");
        file.values(key).map(|entry| entry.value.to_owned()).collect()
    }

    /// The range of the services' network.
    pub(crate) fn network(&self) -> String {
        let range = "'{{(index .IPAM.Config 0).Subnet}}'";
        let line = format!("docker network inspect --format {range} pcoipcm_network");
        self.shell(&line).trim().to_owned()
    }

    /// The output of `openssl x509` for the certificates of both services.
    pub(crate) fn shown(&self, what: &str) -> [String; 2] {
        let ports = [(Role::Cm, "broker"), (Role::Sg, "pcoip")].map(|(role, key)| {
            let listens = self.status(role).listens;
            listens.iter().find(|listen| listen.key == key).expect("it listens").address.port()
        });
        ports.map(|port| {
            let line = format!(
                "openssl s_client -connect 127.0.0.1:{port} -servername pcoip-default-sg-sni \
                 </dev/null 2>/dev/null | openssl x509 -noout {what}"
            );
            self.shell(&line)
        })
    }

    /// Replaces a line of a file of the installation, like an administrator does.
    pub(crate) fn replace(&self, name: &str, line: &str, by: &str) {
        self.machine.tell("sed", &["-i", &format!("s|{line}|{by}|"), &format!("{DATA}/{name}")]);
    }
}

/// The first error of a refusal or a failure.
pub(crate) fn error(output: &Output) -> Value {
    let document = document(output);
    let mut findings = document["findings"].as_array().into_iter().flatten();
    let error = findings.find(|finding| finding["level"] == "error");
    error.cloned().unwrap_or_else(|| document["error"].clone())
}
