//! The site of a demonstration: a temporary root with both services, a simulated broker and a
//! simulated agent.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use cmsg_config::{
    Paths,
    socket::{self, Connections, Role, Status},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use super::{children::Simulator, report::Stage};
use crate::binaries::Binaries;

const ASK: Duration = Duration::from_secs(5);

/// The credentials of the simulated user.
const USER: &str = "amelia";
const PASSWORD: &str = "correct horse";
const DOMAIN: &str = "example.com";
const PASSCODE: &str = "123456";

pub(super) struct Site {
    binaries: Binaries,
    folder: TempDir,
    root: PathBuf,
    keep: bool,
    simulators: Vec<Simulator>,
    agent_port: String,
    broker: String,
    installed: bool,
    processes: Vec<u32>,
}

impl Site {
    pub(super) fn new(binaries: Binaries, keep: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pcoip-demo-").tempdir();
        Self::below(folder.context("creating a temporary directory")?, binaries, keep)
    }

    /// A site below this directory.
    pub(super) fn below(folder: TempDir, binaries: Binaries, keep: bool) -> anyhow::Result<Self> {
        let root = folder.path().join("root");
        std::fs::create_dir(&root).context("creating a temporary root")?;
        Ok(Self {
            binaries,
            folder,
            root,
            keep,
            simulators: Vec::new(),
            agent_port: String::new(),
            broker: String::new(),
            installed: false,
            processes: Vec::new(),
        })
    }

    /// Starts the agent, and then the broker, which grants it.
    pub(super) fn start_simulators(&mut self, layout: &str) -> anyhow::Result<()> {
        let mut agent = self.simulator("agent");
        agent.args(["--pcoip-listen", "127.0.0.1:0", "--layout", layout]);
        agent.args(["--expect-user", USER, "--expect-domain", DOMAIN]);
        agent.env("PCOIP_SIM_PASSWORD", PASSWORD);
        let (agent, ready) = Simulator::start(agent, "the simulated agent", self.events("agent"))?;
        self.simulators.push(agent);
        self.agent_port = port(&ready["https"])?;

        let mut broker = self.simulator("broker");
        broker.args(["--agent-host", "localhost", "--agent-ip", "127.0.0.1"]);
        broker.args(["--agent-pcoip-port", &port(&ready["pcoip"])?]);
        broker.args(["--user", USER, "--domain", DOMAIN, "--passcode", PASSCODE]);
        broker.env("PCOIP_SIM_PASSWORD", PASSWORD);
        let (broker, ready) =
            Simulator::start(broker, "the simulated broker", self.events("broker"))?;
        self.simulators.push(broker);
        self.broker = format!("https://localhost:{}", port(&ready["address"])?);
        Ok(())
    }

    /// Installs both services with the installer.
    pub(super) fn install(&mut self) -> anyhow::Result<()> {
        let mut install = self.install_command("127.0.0.1");
        install.args(["--output", "json"]);
        succeed(install, "the installer")?;
        for role in [Role::Cm, Role::Sg] {
            self.processes.push(self.status(role)?.pid);
        }
        Ok(())
    }

    /// The command that installs both services.
    pub(super) fn install_command(&mut self, external: &str) -> Command {
        self.installed = true;
        let daemon = self.binaries.path("pcoip-cmsgd");
        let mut install = self.setup("install");
        install.args(["--runtime=host", "--accept-policies", "--self-signed", "--non-interactive"]);
        install.args(["--external-pcoip-ip", external, "--broker-url", &self.broker]);
        install.args(["--agent-port", &self.agent_port, "--allowed-agents=127.0.0.1"]);
        install.arg("--daemon").arg(daemon);
        install
    }

    /// The command that prints the state of the services.
    pub(super) fn status_command(&self) -> Command {
        self.setup("status")
    }

    /// The URL of the simulated broker.
    pub(super) fn broker(&self) -> &str {
        &self.broker
    }

    /// The temporary root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The address of the Connection Manager's `/health`.
    pub(super) fn health(&self) -> anyhow::Result<String> {
        Ok(format!("{}/health", self.connection_manager()?))
    }

    /// The command that starts a client for this site.
    pub(super) fn client(&self, layout: &str) -> Command {
        let mut client = self.binaries.command("pcoip-sim");
        client.args(["client", "--layout", layout, "--user", USER, "--domain", DOMAIN]);
        client.args(["--passcode", PASSCODE]).env("PCOIP_SIM_PASSWORD", PASSWORD);
        client.arg("--connect").arg(self.connection_manager().unwrap_or_default());
        client
    }

    /// The exchanges of the Connection Manager that clients do not see.
    pub(super) fn inner_exchanges(&self) -> Vec<Stage> {
        let asked = socket::get::<Connections>(&self.run(), Role::Cm, "/connections", ASK);
        let exchanges = asked.into_iter().flat_map(|all| all.connections).flat_map(|c| c.exchanges);
        exchanges
            .filter(|exchange| ["launch-session", "announce"].contains(&exchange.name.as_str()))
            .map(|exchange| Stage { name: exchange.name, ms: exchange.ms, ok: true })
            .collect()
    }

    /// Kills the gateway with SIGKILL. The supervisor must restart it.
    pub(super) fn kill_gateway(&self) -> anyhow::Result<()> {
        let pid = i32::try_from(self.status(Role::Sg)?.pid).context("its number is too large")?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).context("killing the gateway")
    }

    /// Leaves everything running, and returns the command that stops it.
    pub(super) fn leave(self) -> String {
        let pids: Vec<_> = self.simulators.iter().map(|s| s.pid().to_string()).collect();
        self.simulators.into_iter().for_each(Simulator::leave);
        format!(
            "{} uninstall --root {} --purge --yes && kill {} && rm -r {}",
            self.binaries.path("pcoip-cmsg-setup").display(),
            self.root.display(),
            pids.join(" "),
            self.folder.keep().display(),
        )
    }

    /// Stops and removes everything. Returns what is left. The first error is stored in `error`.
    pub(super) fn clear(mut self, error: &mut Option<String>) -> anyhow::Result<Vec<String>> {
        if self.installed {
            let mut uninstall = self.setup("uninstall");
            uninstall.args(["--purge", "--yes", "--output", "json"]);
            if let Err(failed) = succeed(uninstall, "the uninstaller") {
                error.get_or_insert_with(|| format!("{failed:#}"));
            }
        }
        for simulator in std::mem::take(&mut self.simulators).into_iter().rev() {
            let said = simulator.stop()?;
            let violation = said.iter().find(|event| event["event"] == "violation");
            if let Some(what) = violation.and_then(|event| event["what"].as_str()) {
                error.get_or_insert_with(|| what.to_owned());
            }
        }
        let mut left: Vec<_> = std::fs::read_dir(&self.root)
            .context("reading the temporary root")?
            .filter_map(|entry| Some(entry.ok()?.path().display().to_string()))
            .collect();
        left.extend(
            self.processes.iter().filter(|pid| is_alive(**pid)).map(|pid| format!("process {pid}")),
        );
        self.folder.close().context("removing the temporary directory")?;
        Ok(left)
    }

    fn connection_manager(&self) -> anyhow::Result<String> {
        let status = self.status(Role::Cm)?;
        let listen = status.listens.iter().find(|listen| listen.key == "broker");
        Ok(format!("https://{}", listen.context("the Connection Manager does not listen")?.address))
    }

    fn status(&self, role: Role) -> anyhow::Result<Status> {
        socket::get(&self.run(), role, "/status", ASK)
            .with_context(|| format!("requesting the status at `{}`", role.command()))
    }

    fn events(&self, kind: &str) -> PathBuf {
        self.folder.path().join(format!("{kind}.events"))
    }

    fn run(&self) -> PathBuf {
        Paths::under(&self.root).run()
    }

    fn setup(&self, command: &str) -> Command {
        let mut setup = self.binaries.command("pcoip-cmsg-setup");
        setup.arg(command).arg("--root").arg(&self.root);
        setup
    }

    fn simulator(&self, kind: &str) -> Command {
        let mut simulator = self.binaries.command("pcoip-sim");
        simulator.args([kind, "--listen", "127.0.0.1:0"]);
        if self.keep {
            simulator.arg("--stay");
        }
        simulator
    }
}

/// Runs a command of the installer. Its JSON document has the reason of a failure.
fn succeed(mut command: Command, what: &str) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("starting {what}"))?;
    if output.status.success() {
        return Ok(());
    }
    let document = serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default();
    bail!(
        "{what} ended with {}: {} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim(),
        document["findings"]
    )
}

fn port(address: &Value) -> anyhow::Result<String> {
    let port = address.as_str().and_then(|address| address.rsplit_once(':')).map(|(_, port)| port);
    Ok(port.with_context(|| format!("`{address}` has no port"))?.to_owned())
}

fn is_alive(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None).is_ok())
}
