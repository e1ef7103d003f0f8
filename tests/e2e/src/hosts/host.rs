//! A host of the product between the clients' network and that of broker and agents.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use cmsg_config::{
    Paths,
    socket::{self, Connection, Connections, Role, Status},
};

use nix::sys::signal::{Signal, kill};

use super::{namespace::Namespace, url};
use crate::{binaries, installation::until_logged};

const ASK: Duration = Duration::from_secs(5);

/// A host with a Connection Manager, a Security Gateway or both.
#[derive(Debug)]
pub struct Host {
    /// Where clients reach it.
    pub outside: IpAddr,
    /// Where its gateway listens for clients.
    pub(super) pcoip: IpAddr,
    /// Where it comes from to the broker and to agents.
    pub inside: IpAddr,
    /// Its number on the networks.
    pub(super) index: u8,
    pub(super) namespace: Namespace,
    pub(super) broker: IpAddr,
    pub(super) paths: Paths,
}

impl Host {
    /// Installs with the documented ports, or changes the installation according to the flags.
    ///
    /// # Panics
    ///
    /// If the installer fails.
    pub fn install(&self, more: &[String]) {
        let at = |key: &str, ip, port| format!("{key}={}", SocketAddr::new(ip, port));
        let listens = [
            at("broker", self.outside, 443),
            at("http", self.outside, 80),
            at("pcoip", self.pcoip, 4172),
            at("udp-source", self.inside, 55_000),
        ];
        let mut install = self.setup("install");
        install.args(["--runtime=host", "--accept-policies", "--self-signed", "--non-interactive"]);
        install.args(["--broker-url", &url(self.broker)]);
        install.args(["--external-pcoip-ip", &self.outside.to_string()]);
        install.args(listens.iter().flat_map(|listen| ["--listen", listen]));
        install.arg(format!("--enable-ipv6={}", self.outside.is_ipv6())).args(more);
        succeed(install);
    }

    /// The flags of a Connection Manager that announces sessions to the other host.
    #[must_use]
    pub fn announcing_to(other: &Self) -> Vec<String> {
        let ip = other.outside;
        ["--external-sg-ip".to_owned(), ip.to_string()]
            .into_iter()
            .chain(["--external-sg-pin".to_owned(), format!("{ip}={}", other.pin())])
            .collect()
    }

    /// The flags of a gateway that accepts the announcements of the other host.
    #[must_use]
    pub fn taking_from(other: &Self) -> Vec<String> {
        let certificates = other.paths.certs().join("jwt-verifying.crt");
        vec!["--jwt-verifying-cert".to_owned(), certificates.display().to_string()]
    }

    /// Adds a line to a role's configuration, for the next installation.
    ///
    /// # Panics
    ///
    /// If the role is not installed.
    pub fn configure(&self, role: Role, line: &str) {
        let conf = match role {
            Role::Cm => self.paths.connection_manager_conf(),
            Role::Sg => self.paths.security_gateway_conf(),
        };
        let file = OpenOptions::new().append(true).open(conf);
        writeln!(file.expect("a role's configuration is there"), "{line}")
            .expect("a line can be written");
    }

    /// Kills all processes of the host at once.
    ///
    /// # Panics
    ///
    /// If nothing runs.
    pub fn kill(&self) {
        let processes = self.namespace.processes().expect("a namespace tells its processes");
        assert!(!processes.is_empty(), "nothing runs");
        for process in processes {
            kill(process, Signal::SIGKILL).expect("a process can be killed");
        }
    }

    /// How a role is.
    ///
    /// # Panics
    ///
    /// If it does not say.
    #[must_use]
    pub fn status(&self, role: Role) -> Status {
        let asked = socket::get(&self.paths.run(), role, "/status", ASK);
        asked.expect("a role tells how it is")
    }

    /// The sessions of a role.
    ///
    /// # Panics
    ///
    /// If it does not say.
    #[must_use]
    pub fn connections(&self, role: Role) -> Vec<Connection> {
        let asked = socket::get::<Connections>(&self.paths.run(), role, "/connections", ASK);
        asked.expect("a role tells its sessions").connections
    }

    /// All that a role has logged.
    ///
    /// # Panics
    ///
    /// If it has logged nothing.
    #[must_use]
    pub fn log(&self, role: Role) -> String {
        let folder = match role {
            Role::Cm => self.paths.connection_manager_logs(),
            Role::Sg => self.paths.security_gateway_logs(),
        };
        until_logged();
        let mut text = String::new();
        for path in files(&folder) {
            let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
            read.expect("a log can be read");
        }
        text
    }

    /// Removes the installation, if there is one.
    pub(super) fn uninstall(&self) {
        if self.paths.base().exists() {
            let mut uninstall = self.setup("uninstall");
            uninstall.args(["--purge", "--yes"]);
            succeed(uninstall);
        }
    }

    fn pin(&self) -> String {
        let mut openssl = Command::new("openssl");
        openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]);
        openssl.arg(self.paths.certs().join("cmsg.crt"));
        let told = succeed(openssl);
        let (_, digits) = told.trim().split_once('=').expect("a fingerprint follows `=`");
        format!("sha256:{digits}")
    }

    fn setup(&self, subcommand: &str) -> Command {
        let setup = binaries::command("pcoip-cmsg-setup");
        let mut command = self.namespace.command(setup.get_program());
        command.arg(subcommand).arg("--quiet").arg("--root").arg(self.paths.root());
        command
    }
}

/// What lies in a folder.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().expect("a folder can be read");
    entries.map(|entry| entry.expect("a folder can be read").path()).collect()
}

/// Runs a command that has to succeed, and returns what it printed.
pub(super) fn succeed(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let told = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let complaint = told(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{complaint}", output.status);
    told(&output.stdout)
}
