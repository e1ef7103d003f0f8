//! The relays under test: a process each inside the gateway's namespace, on the gateway's CPU.

use std::{
    fs::File,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};

use super::{
    janitor::{Change, Janitor, write_setting},
    network::{Network, Place},
    wire::{Kind, Relay},
    worker,
};
use crate::{bench::process, binaries::is_installed};

mod coturn;
pub(super) mod gateway;
mod nginx;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Product {
    /// The Security Gateway
    Gateway,
    /// nginx as UDP and TLS proxy, with the default receive buffers
    Nginx,
    /// The same with receive buffers of 4 MiB
    NginxRaised,
    /// coturn as TURN server
    Coturn,
    /// The kernel's routing, without a relay
    Routing,
}

/// A running relay.
pub(super) struct Running {
    pub(super) name: String,
    pub(super) product: Product,
    pub(super) relay: Relay,
    /// Sessions that are set up.
    pub(super) sessions: u32,
    /// Whether some may have ended, because datagrams were lost.
    pub(super) is_damaged: bool,
    /// Whether session 1 has a control connection.
    pub(super) is_connected: bool,
    process: Option<Process>,
}

/// What the relays need from the benchmark.
pub(super) struct Host<'a> {
    pub(super) network: &'a Network,
    pub(super) folder: &'a Path,
    /// Number of sessions that a relay must take.
    pub(super) sessions: u32,
}

struct Process {
    child: Child,
    log: PathBuf,
}

impl Product {
    /// The package that is missing to measure it.
    pub(super) fn missing(self) -> Option<&'static str> {
        match self {
            Self::Nginx | Self::NginxRaised if !nginx::is_complete() => {
                Some("`nginx-light` and `libnginx-mod-stream`")
            }
            Self::Coturn if !is_installed("turnserver") => Some("`coturn`"),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Nginx => "nginx",
            Self::NginxRaised => "nginx, 4 MiB",
            Self::Coturn => "coturn",
            Self::Routing => "routing",
        }
    }
}

impl Running {
    /// Starts a relay. `daemon` is needed for a gateway, `name` distinguishes several.
    pub(super) fn start(
        host: &Host<'_>,
        id: u8,
        product: Product,
        daemon: Option<(&Path, String)>,
    ) -> anyhow::Result<Self> {
        let (relay, command) = match (product, &daemon) {
            (Product::Gateway, Some((daemon, _))) => gateway::prepare(host, id, daemon)?,
            (Product::Gateway, None) => bail!("there is no daemon"),
            (Product::Nginx | Product::NginxRaised, _) => nginx::prepare(host, id)?,
            (Product::Coturn, _) => coturn::prepare(host, id)?,
            (Product::Routing, _) => {
                let nobody = std::net::SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);
                let relay = Relay { id, kind: Kind::Routing, clients: nobody, tls: None };
                (relay, None)
            }
        };
        let name = daemon.map_or_else(|| product.name().to_owned(), |(_, name)| name);
        let process = command.map(|command| Process::start(host.folder, &name, command));
        let process = process.transpose()?;
        let mut running = Self {
            name,
            product,
            relay,
            sessions: 0,
            is_damaged: false,
            is_connected: false,
            process,
        };
        running.wait_until_ready()?;
        Ok(running)
    }

    /// CPU time of the process in nanoseconds.
    pub(super) fn cpu(&self) -> u64 {
        self.process.as_ref().map_or(0, |running| process::cpu(running.child.id()))
    }

    /// Resident memory in KiB; `None` without a process.
    pub(super) fn rss_kib(&self) -> Option<u64> {
        self.process.as_ref().map(|running| process::rss_kib(running.child.id()))
    }

    /// Number of open files of the process; `None` without a process.
    pub(super) fn files(&self) -> Option<usize> {
        self.process.as_ref().map(|running| process::files(running.child.id()))
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        for _ in 0..START_POLLS {
            if let Some(Process { child, log }) = &mut self.process
                && let Some(status) = child.try_wait()?
            {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{} ended with {status}: {}", self.name, said.trim());
            }
            match &self.relay.kind {
                Kind::Gateway { socket } if !gateway::is_ready(socket) => {}
                _ => return Ok(()),
            }
            worker::wait_until(worker::now() + POLL);
        }
        bail!("{} does not start", self.name)
    }
}

/// Polls within twenty seconds, enough for a busy machine.
const START_POLLS: u32 = 200;
const POLL: u64 = 100_000_000;
const ASK: Duration = Duration::from_secs(5);

impl Process {
    fn start(folder: &Path, name: &str, mut command: Command) -> anyhow::Result<Self> {
        let log = folder.join(format!("{}.log", name.replace(' ', "-")));
        let file = File::create(&log).context("making a file for a relay")?;
        let errors = file.try_clone().context("making a file for a relay")?;
        command.stdin(Stdio::null()).stdout(file).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        Ok(Self { child, log })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command inside the gateway's namespace.
fn command(host: &Host<'_>, program: &str) -> Command {
    host.network.command(Place::Gateway, program)
}

/// The default receive buffer of sockets, raised until it is dropped. The setting is the host's,
/// not the namespace's.
pub(super) struct RaisedBuffers {
    before: String,
}

const RMEM_DEFAULT: &str = "/proc/sys/net/core/rmem_default";

impl RaisedBuffers {
    pub(super) fn raise(janitor: &Janitor) -> anyhow::Result<Self> {
        let path = PathBuf::from(RMEM_DEFAULT);
        let before = std::fs::read_to_string(&path).context("reading `net.core.rmem_default`")?;
        let before = before.trim().to_owned();
        let change = Change::Setting { path: path.clone(), before: before.clone() };
        let raised = Self { before };
        janitor.make(&change, || write_setting(&path, &(4 << 20).to_string()))?;
        Ok(raised)
    }
}

impl Drop for RaisedBuffers {
    fn drop(&mut self) {
        // The clean-up process tries again.
        let _ = write_setting(Path::new(RMEM_DEFAULT), &self.before);
    }
}
